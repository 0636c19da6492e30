package dev.jacquard.kernels;

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

  /** What a {@link NeuronLimits limit} is compared with. */
  enum Magnitude {
    /** {@code |activation(gate·x)·(up·x)|}: gate and up are computed whole. */
    HIDDEN,
    /** {@code |activation(gate·x)|}: only the gate is computed whole. */
    GATE
  }
}
