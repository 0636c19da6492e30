package dev.jacquard.neurons;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How much each neuron mattered for the tokens that were seen: {@code s_i = Σ_t w_t·(h_ti/‖h_t‖)²}
 * over tokens t with weights w_t (GRIFFIN, arXiv 2404.01365). A layer that is computed for output
 * rows only sees one token of a prompt, so nothing is gathered there and all its neurons stay. One
 * thread uses it.
 */
public final class NeuronStatistics {
  /** The number of neurons that stay is a multiple of this: the rows of a packed tile. */
  static final int MULTIPLE = 32;

  private final List<Op> ops;
  private final List<double[]> sums = new ArrayList<>();
  private float[] hidden = {};
  private long tokens;

  /** Nothing was seen yet. */
  public NeuronStatistics(Program program) {
    ops = program.ops();
    for (Op op : ops) {
      if (op instanceof Op.FeedForward f) {
        sums.add(new double[f.neurons()]);
      }
    }
  }

  /**
   * Adds rows of the present step, once an op has written its slots; ops that are no feed-forward
   * layer add nothing. The rows must have been computed with all neurons.
   *
   * @param index of the op
   * @param firstRow of the step
   * @param rows number of rows
   * @param weight what each counts
   */
  public void add(int index, Executable executable, int firstRow, int rows, double weight) {
    if (!(ops.get(index) instanceof Op.FeedForward op) || op.hidden().domain() != Slot.Domain.ALL) {
      return;
    }
    if (hidden.length < op.neurons()) {
      hidden = new float[op.neurons()];
    }
    double[] layer = sums.get(op.layer());
    for (int row = firstRow; row < firstRow + rows; row++) {
      executable.read(op.hidden(), row, hidden, 0);
      add(layer, op.neurons(), weight);
    }
    if (op.layer() == 0) {
      tokens += rows;
    }
  }

  private void add(double[] layer, int neurons, double weight) {
    double squares = 0;
    for (int i = 0; i < neurons; i++) {
      squares += (double) hidden[i] * hidden[i];
    }
    if (squares > 0 && squares <= Double.MAX_VALUE) {
      double factor = weight / squares;
      for (int i = 0; i < neurons; i++) {
        layer[i] += factor * hidden[i] * hidden[i];
      }
    }
  }

  /** Tokens that were seen. */
  public long tokens() {
    return tokens;
  }

  /**
   * Of each layer the neurons with the largest {@code √s_i·‖W_down[:,i]‖}; of equal ones the lower
   * number.
   *
   * @param share how many are left out, 0 to 1; what stays is rounded up to a multiple of 32
   */
  public NeuronSet select(double share, ColumnNorms norms) {
    List<int[]> chosen = new ArrayList<>();
    for (int layer = 0; layer < norms.layers(); layer++) {
      chosen.add(select(sums.get(layer), share, norms.of(layer)));
    }
    return new NeuronSet(chosen);
  }

  private static int[] select(double[] sums, double share, float[] norms) {
    int neurons = sums.length;
    int multiples = (int) Math.ceil((1 - share) * neurons / MULTIPLE);
    int kept = Math.clamp((long) multiples * MULTIPLE, Math.min(MULTIPLE, neurons), neurons);
    if (Arrays.stream(sums).allMatch(s -> s == 0)) {
      kept = neurons; // nothing is known about this layer
    }
    double[] scores = new double[neurons];
    for (int i = 0; i < neurons; i++) {
      scores[i] = Math.sqrt(sums[i]) * norms[i];
    }
    return IntStream.range(0, neurons)
        .boxed()
        .sorted((a, b) -> Double.compare(scores[b], scores[a])) // stable: lower numbers first
        .limit(kept)
        .mapToInt(i -> i)
        .sorted()
        .toArray();
  }
}
