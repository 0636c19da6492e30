package dev.jacquard.tensor.format;

import java.util.Arrays;

/**
 * The search of the K formats for a group's scale: rounding the group on a handful of slightly
 * different grids, fitting the best scale to each rounding by weighted least squares, and keeping
 * the one with the least weighted error. It does the arithmetic of ggml's reference quantiser, in
 * single precision and in its order, so that equal input gives equal blocks.
 */
final class ScaleSearch {
  /** Groups whose largest magnitude is less are stored as zeros. */
  static final float NOTHING = 1e-15f;

  /** Tenths of a step by which the grids of {@link #symmetric} differ, in the order tried. */
  private static final int[] STEPS = {
    0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9
  };

  private ScaleSearch() {}

  /** The fit {@code x ≈ scale · q − minimum}; the minimum is not negative. */
  record Affine(float scale, float minimum) {}

  /**
   * Fits scale and minimum to {@code best.length} elements from {@code x[from]}. The first grid
   * spans the group's range exactly; 21 more have {@code most − 1} to {@code most + 1} steps.
   *
   * @param most largest quant
   * @param best receives the elements' quants, 0 … {@code most}
   */
  static Affine affine(float[] x, int from, float[] weights, int most, byte[] best) {
    int n = best.length;
    float least = Math.min(0, x[from]);
    float greatest = x[from];
    float sumW = 0;
    float sumX = 0;
    for (int i = 0; i < n; i++) {
      float value = x[from + i];
      least = Math.min(least, value);
      greatest = Math.max(greatest, value);
      sumW += weights[i];
      sumX += weights[i] * value;
    }
    if (greatest == least) {
      Arrays.fill(best, (byte) 0);
      return new Affine(0, -least);
    }
    float offset = least;
    float inverse = most / (greatest - offset);
    round(x, from, inverse, offset, most, best);
    float scale = 1 / inverse;
    float bestError = error(x, from, weights, best, scale, offset);
    byte[] candidate = new byte[n];
    for (int step = 0; step <= 20; step++) {
      // Later grids start at the best offset so far.
      inverse = (-1f + 0.1f * step + most) / (greatest - offset);
      round(x, from, inverse, offset, most, candidate);
      float sumQ = 0;
      float sumQq = 0;
      float sumXq = 0;
      for (int i = 0; i < n; i++) {
        float weighted = weights[i] * candidate[i];
        sumQ += weighted;
        sumQq += weighted * candidate[i];
        sumXq += weighted * x[from + i];
      }
      float determinant = sumW * sumQq - sumQ * sumQ;
      if (determinant <= 0) {
        continue;
      }
      float fittedScale = (sumW * sumXq - sumX * sumQ) / determinant;
      float fittedOffset = (sumQq * sumX - sumQ * sumXq) / determinant;
      if (fittedOffset > 0) {
        // A minimum has no sign bit: the best fit through zero.
        fittedOffset = 0;
        fittedScale = sumXq / sumQq;
      }
      float error = error(x, from, weights, candidate, fittedScale, fittedOffset);
      if (error < bestError) {
        bestError = error;
        scale = fittedScale;
        offset = fittedOffset;
        System.arraycopy(candidate, 0, best, 0, n);
      }
    }
    return new Affine(scale, -offset);
  }

  private static void round(
      float[] x, int from, float inverse, float offset, int most, byte[] quants) {
    for (int i = 0; i < quants.length; i++) {
      int q = (int) Math.rint(inverse * (x[from + i] - offset));
      quants[i] = (byte) Math.clamp(q, 0, most);
    }
  }

  private static float error(
      float[] x, int from, float[] weights, byte[] quants, float scale, float offset) {
    float sum = 0;
    for (int i = 0; i < quants.length; i++) {
      float difference = scale * quants[i] + offset - x[from + i];
      sum += weights[i] * (difference * difference);
    }
    return sum;
  }

  /**
   * Fits the scale of {@code x ≈ scale · (q − half)} to {@code best.length} elements from {@code
   * x[from]}, each weighted by its square. The first grid maps the element of largest magnitude to
   * {@code −half}; 18 more map it up to 0.9 beside.
   *
   * @param best receives the elements' quants, 0 … {@code 2 · half − 1}
   */
  static float symmetric(float[] x, int from, int half, byte[] best) {
    int n = best.length;
    float extreme = BlockFormat.extreme(x, from, n);
    if (Math.abs(extreme) < NOTHING) {
      Arrays.fill(best, (byte) 0);
      return 0;
    }
    float scale = 0;
    float explained = 0;
    for (int step : STEPS) {
      float inverse = -(half + 0.1f * step) / extreme;
      float sumXq = 0;
      float sumQq = 0;
      for (int i = 0; i < n; i++) {
        float value = x[from + i];
        int q = roundSymmetric(inverse * value, half);
        float weight = value * value;
        sumXq += weight * value * q;
        sumQq += weight * q * q;
      }
      // The error falls by sumXq² / sumQq; the first grid stands even where it explains nothing.
      if (step == 0 || (sumQq > 0 && sumXq * sumXq > explained * sumQq)) {
        scale = sumQq == 0 ? 0 : sumXq / sumQq;
        explained = scale * sumXq;
        for (int i = 0; i < n; i++) {
          best[i] = (byte) (roundSymmetric(inverse * x[from + i], half) + half);
        }
      }
    }
    return scale;
  }

  private static int roundSymmetric(float scaled, int half) {
    return Math.clamp((int) Math.rint(scaled), -half, half - 1);
  }
}
