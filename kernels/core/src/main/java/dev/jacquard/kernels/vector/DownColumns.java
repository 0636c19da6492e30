package dev.jacquard.kernels.vector;

import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;

/**
 * The matrix W_down [width × neurons] with the weights of each neuron together, so that a neuron
 * that is left out is not read. Outputs stand in strips; within a strip the neurons follow one
 * another in chunks of {@link #CHUNK}, a row of weights for each:
 *
 * <pre>
 *  strip 0: | chunk 0: scales, neuron 0, neuron 1, … neuron 255 | chunk 1: scales, neuron 256, … |
 *  strip 1: …
 * </pre>
 *
 * <p>Lanes are outputs. Every output is one chain {@code sum = fma(weight, value, sum)} over the
 * neurons of a list in ascending order, from 0, with the floats that {@link FloatMatrix} decodes:
 * so the bits are those of a {@link PackedMatrix} with 0 for every other neuron. Immutable; any
 * thread may use it while its memory lives.
 */
abstract class DownColumns {
  /** Neurons whose scales are decoded together; a multiple of every format's block. */
  static final int CHUNK = 256;

  private final int width;
  private final int neurons;

  DownColumns(int width, int neurons) {
    this.width = width;
    this.neurons = neurons;
  }

  /** Outputs of a strip. */
  abstract int stripWidth();

  /** Bytes of all weights. */
  abstract long bytes();

  /** Bytes that are read for the first {@code count} neurons of a list. */
  abstract long bytes(int[] list, int count);

  /**
   * Adds the products of neurons {@code list[from … to)}, all of one chunk, with their values to
   * the first {@link #stripWidth} values of {@link Scratch#sums}.
   */
  abstract void add(
      int strip, int chunk, int[] list, float[] values, int from, int to, Scratch scratch);

  /**
   * The same weights of some neurons only, side by side: processors fetch lines that follow one
   * another, whether they are wanted or not. What comes back is asked for exactly these neurons.
   *
   * @param list the neurons, ascending; not to be changed
   * @param memory where they go
   * @return this, if there is nothing to gain
   */
  abstract DownColumns gathered(int[] list, SegmentAllocator memory);

  /** Strips: the unit that work is divided by. */
  final int strips() {
    return (width + stripWidth() - 1) / stripWidth();
  }

  /** Outputs. */
  final int width() {
    return width;
  }

  /** Neurons there are. */
  final int neurons() {
    return neurons;
  }

  /** Neurons of a chunk: fewer than {@link #CHUNK} at the end. */
  final int size(int chunk) {
    return Math.min(CHUNK, neurons - chunk * CHUNK);
  }

  /**
   * Multiplies: {@code out[outOffset + o] = Σ_j values[j]·W[o][list[j]]} for the outputs of some
   * strips. Calls for disjoint strips may run at the same time.
   *
   * @param list neurons, ascending, of which the first {@code count} are multiplied
   * @param values for each of them its hidden value
   */
  final void multiply(
      int[] list,
      float[] values,
      int count,
      int firstStrip,
      int lastStrip,
      float[] out,
      int outOffset) {
    Scratch scratch = Scratch.get();
    for (int strip = firstStrip; strip < lastStrip; strip++) {
      Arrays.fill(scratch.sums, 0, stripWidth(), 0);
      for (int from = 0; from < count; ) {
        int chunk = list[from] / CHUNK;
        int to = end(list, from, count, chunk);
        add(strip, chunk, list, values, from, to, scratch);
        from = to;
      }
      int first = strip * stripWidth();
      int outputs = Math.min(stripWidth(), width - first);
      System.arraycopy(scratch.sums, 0, out, outOffset + first, outputs);
    }
  }

  /** Where the neurons of a chunk end in a list. */
  static int end(int[] list, int from, int count, int chunk) {
    int limit = (chunk + 1) * CHUNK;
    int low = from + 1;
    int high = Math.min(count, from + CHUNK);
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (list[middle] < limit) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
