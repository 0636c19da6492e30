package dev.jacquard.kernels;

import java.util.Arrays;

/**
 * What the feed-forward layers of a step computed for each row of the step, all layers together; a
 * layer whose rows are outputs only counts for these. Written by the backend while a step runs;
 * valid until the next.
 */
public final class FeedForwardReport {
  private final long[] computed;
  private final long[] neurons;
  private final long[] bytes;
  private final long[] bytesDense;

  /** A report for steps of up to {@code maxRows} rows. */
  public FeedForwardReport(int maxRows) {
    computed = new long[maxRows];
    neurons = new long[maxRows];
    bytes = new long[maxRows];
    bytesDense = new long[maxRows];
  }

  /** Forgets the first {@code count} rows. */
  public void clear(int count) {
    Arrays.fill(computed, 0, count, 0);
    Arrays.fill(neurons, 0, count, 0);
    Arrays.fill(bytes, 0, count, 0);
    Arrays.fill(bytesDense, 0, count, 0);
  }

  /**
   * Adds a layer.
   *
   * @param row of the step
   * @param kept neurons that counted
   * @param all neurons of the layer
   * @param read bytes of weights that the row needed, as the backend keeps them
   * @param dense bytes of weights that it would have needed with all neurons
   */
  public void add(int row, int kept, int all, long read, long dense) {
    computed[row] += kept;
    neurons[row] += all;
    bytes[row] += read;
    bytesDense[row] += dense;
  }

  /** Neurons that counted, over all layers. */
  public long computed(int row) {
    return computed[row];
  }

  /** Neurons that there are, over all layers. */
  public long neurons(int row) {
    return neurons[row];
  }

  /** Bytes of weights that the row needed. */
  public long bytes(int row) {
    return bytes[row];
  }

  /** Bytes of weights that it would have needed with all neurons. */
  public long bytesDense(int row) {
    return bytesDense[row];
  }
}
