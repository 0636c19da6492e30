package dev.jacquard.kernels;

import java.util.List;

/**
 * Which neurons of feed-forward layers count for the rows of a sequence: data of a step, read by
 * {@link Op.FeedForward}. A neuron that is left out is as if its hidden value were 0; what remains
 * is summed in the order of the neurons, so that a rule that leaves nothing out has the bits of
 * {@link All}. What each rule is for is written down in docs/pruning.md.
 */
public sealed interface NeuronRule {
  /** Every neuron counts. */
  NeuronRule ALL = new All();

  /** Every neuron counts. */
  record All() implements NeuronRule {}

  /**
   * Only listed neurons count, the same ones in every step (GRIFFIN, arXiv 2404.01365). A backend
   * may gather their weights, once for each set: a set is used for many steps.
   */
  record Listed(NeuronSet neurons) implements NeuronRule {}

  /**
   * Neurons whose magnitude reaches a limit count, for each row its own (CATS, arXiv 2404.08763;
   * TEAL, arXiv 2408.14690; WINA, arXiv 2505.19427).
   */
  record Above(Magnitude magnitude, NeuronLimits limits) implements NeuronRule {}

  /**
   * Checks that a rule speaks of the layers and neurons of a program; a few comparisons for each
   * layer.
   *
   * @throws IllegalArgumentException if not
   */
  static void requireFits(NeuronRule rule, Program program) {
    if (rule instanceof All) {
      return;
    }
    List<Op> ops = program.ops();
    for (int i = 0; i < ops.size(); i++) {
      if (ops.get(i) instanceof Op.FeedForward op && !fits(rule, op)) {
        throw new IllegalArgumentException(
            rule
                + " does not fit the feed-forward layer "
                + op.layer()
                + " of "
                + op.neurons()
                + " neurons: it was made for another model");
      }
    }
  }

  private static boolean fits(NeuronRule rule, Op.FeedForward op) {
    int layer = op.layer();
    return switch (rule) {
      case All _ -> true;
      case Listed(NeuronSet set) ->
          layer < set.layers() && set.neuron(layer, set.count(layer) - 1) < op.neurons();
      case Above(Magnitude _, NeuronLimits limits) ->
          layer < limits.layers() && limits.neurons(layer) == op.neurons();
    };
  }

  /** What a {@link NeuronLimits limit} is compared with. */
  enum Magnitude {
    /** {@code |activation(gate·x)·(up·x)|}: gate and up are computed whole. */
    HIDDEN,
    /** {@code |activation(gate·x)|}: only the gate is computed whole. */
    GATE
  }
}
