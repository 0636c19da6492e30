package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Activations.PANEL;

import dev.jacquard.tensor.Tensor;

/**
 * The sums of {@link FloatMatrix} by plain code over the stored rows, with the same bits: weights
 * as the format's decoder gives them, {@code sum = fma(weight, activation, sum)} in the order of
 * the columns. In a young process, before the vector kernels are compiled, it is some ten times
 * faster than they are.
 */
final class ScalarProduct {
  private ScalarProduct() {}

  /** One tile of {@link PackedMatrix#multiply}. */
  static void multiplyTile(
      Tensor weights, int tile, Activations x, float[] out, int outOffset, int outStride) {
    int first = tile * PackedMatrix.TILE;
    int last = first + Packing.rows(weights, tile);
    if (x.rows() == 1) {
      multiplyRow(weights, first, last, x, out, outOffset);
    } else {
      multiplyPanels(weights, first, last, x, out, outOffset, outStride);
    }
  }

  /** Four outputs at a time: a single chain of sums would wait for itself. */
  private static void multiplyRow(
      Tensor weights, int first, int last, Activations x, float[] out, int outOffset) {
    int columns = weights.columns();
    Scratch scratch = Scratch.get();
    float[] rows = scratch.rows(4 * columns);
    for (int i = first; i < last; i += 4) {
      int count = Math.min(4, last - i);
      for (int j = 0; j < count; j++) {
        weights.decodeRow(i + j, rows, j * columns);
      }
      sums(rows, columns, x.floats, 0, 0, 1, columns, scratch.sums);
      System.arraycopy(scratch.sums, 0, out, outOffset + i, count);
    }
  }

  private static void multiplyPanels(
      Tensor weights,
      int first,
      int last,
      Activations x,
      float[] out,
      int outOffset,
      int outStride) {
    int columns = weights.columns();
    Scratch scratch = Scratch.get();
    float[] row = scratch.rows(columns);
    for (int i = first; i < last; i++) {
      weights.decodeRow(i, row, 0);
      for (int panel = 0; panel < x.panels(); panel++) {
        sums(row, 0, x.floats, panel * PANEL * columns, 1, PANEL, columns, scratch.sums);
        int at = panel * PANEL;
        for (int j = 0; j < PANEL && at + j < x.rows(); j++) {
          out[outOffset + (at + j) * outStride + i] = scratch.sums[j];
        }
      }
    }
  }

  /**
   * Four chains side by side: chain j takes {@code w[j·wNext + k]} and {@code a[aFirst + j·aNext +
   * k·aStride]}.
   */
  private static void sums(
      float[] w,
      int wNext,
      float[] a,
      int aFirst,
      int aNext,
      int aStride,
      int columns,
      float[] sums) {
    float s0 = 0;
    float s1 = 0;
    float s2 = 0;
    float s3 = 0;
    int at = aFirst;
    for (int k = 0; k < columns; k++) {
      s0 = Math.fma(w[k], a[at], s0);
      s1 = Math.fma(w[wNext + k], a[at + aNext], s1);
      s2 = Math.fma(w[2 * wNext + k], a[at + 2 * aNext], s2);
      s3 = Math.fma(w[3 * wNext + k], a[at + 3 * aNext], s3);
      at += aStride;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
  }
}
