package dev.jacquard.pruning;

import java.util.stream.IntStream;

/**
 * Sums of products of the hidden values of one layer: {@code G[i][j] = Σ_t h_ti · h_tj}. Rows of
 * the matrix are summed in parallel; one thread calls.
 */
final class Gram {
  /** Rows of hidden values that are added at once, so that a row of the matrix is read less. */
  private static final int TOGETHER = 8;

  /** Row i holds columns 0 … i. */
  private final float[][] lower;

  private int rows;

  Gram(int neurons) {
    lower = IntStream.range(0, neurons).mapToObj(i -> new float[i + 1]).toArray(float[][]::new);
  }

  /** Bytes that the sums of a layer take. */
  static long bytes(int neurons) {
    return (long) neurons * (neurons + 1) / 2 * Float.BYTES;
  }

  /** Adds {@code count} rows of hidden values. */
  void add(float[] hidden, int count) {
    int neurons = lower.length;
    IntStream.range(0, neurons)
        .parallel()
        .forEach(
            i -> {
              float[] row = lower[i];
              int t = 0;
              for (; t + TOGETHER <= count; t += TOGETHER) {
                add(row, hidden, t * neurons, neurons, i);
              }
              for (; t < count; t++) {
                float h = hidden[t * neurons + i];
                for (int j = 0; j <= i; j++) {
                  row[j] += h * hidden[t * neurons + j];
                }
              }
            });
    rows += count;
  }

  /** Adds {@link #TOGETHER} rows to row {@code i} of the matrix. */
  private static void add(float[] row, float[] hidden, int at, int n, int i) {
    float h0 = hidden[at + i];
    float h1 = hidden[at + n + i];
    float h2 = hidden[at + 2 * n + i];
    float h3 = hidden[at + 3 * n + i];
    float h4 = hidden[at + 4 * n + i];
    float h5 = hidden[at + 5 * n + i];
    float h6 = hidden[at + 6 * n + i];
    float h7 = hidden[at + 7 * n + i];
    for (int j = 0; j <= i; j++) {
      int k = at + j;
      row[j] +=
          h0 * hidden[k]
              + h1 * hidden[k + n]
              + h2 * hidden[k + 2 * n]
              + h3 * hidden[k + 3 * n]
              + h4 * hidden[k + 4 * n]
              + h5 * hidden[k + 5 * n]
              + h6 * hidden[k + 6 * n]
              + h7 * hidden[k + 7 * n];
    }
  }

  /** The mean of {@code h_i · h_j}. */
  double mean(int i, int j) {
    return (double) (i >= j ? lower[i][j] : lower[j][i]) / rows;
  }
}
