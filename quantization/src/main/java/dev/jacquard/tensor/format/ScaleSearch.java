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
   * The grids that {@link #affine} tries after the first: {@code most + first + i · step} steps
   * over the group's range, for i from 0 to {@code last}.
   *
   * @param most largest quant
   */
  record Grids(int most, float first, float step, int last) {
    /** What ggml tries with an importance matrix, in every format. */
    static Grids fine(int most) {
      return new Grids(most, -0.9f, 0.05f, 36);
    }
  }

  /**
   * Fits scale and minimum to {@code count} elements from {@code x[from]}. The first grid spans the
   * group's range exactly, then come {@code grids}.
   *
   * @param weights of the elements' errors, from index 0
   * @param best receives the elements' quants, 0 … {@code grids.most}, from {@code bestAt}
   * @param candidate room for {@code count} quants
   */
  static Affine affine(
      float[] x,
      int from,
      int count,
      float[] weights,
      Grids grids,
      byte[] best,
      int bestAt,
      byte[] candidate) {
    int most = grids.most;
    float least = Math.min(0, x[from]);
    float greatest = x[from];
    float sumW = 0;
    float sumX = 0;
    for (int i = 0; i < count; i++) {
      float value = x[from + i];
      least = Math.min(least, value);
      greatest = Math.max(greatest, value);
      sumW += weights[i];
      sumX += weights[i] * value;
    }
    if (greatest <= least) {
      Arrays.fill(best, bestAt, bestAt + count, (byte) 0);
      return new Affine(0, -least);
    }
    float offset = least;
    float inverse = most / (greatest - offset);
    round(x, from, count, inverse, offset, most, candidate);
    System.arraycopy(candidate, 0, best, bestAt, count);
    float scale = 1 / inverse;
    float bestError = error(x, from, count, weights, candidate, scale, offset);
    for (int grid = 0; grid <= grids.last; grid++) {
      // Later grids start at the best offset so far.
      inverse = (grids.first + grids.step * grid + most) / (greatest - offset);
      round(x, from, count, inverse, offset, most, candidate);
      float sumQ = 0;
      float sumQq = 0;
      float sumXq = 0;
      for (int i = 0; i < count; i++) {
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
      float error = error(x, from, count, weights, candidate, fittedScale, fittedOffset);
      if (error < bestError) {
        bestError = error;
        scale = fittedScale;
        offset = fittedOffset;
        System.arraycopy(candidate, 0, best, bestAt, count);
      }
    }
    return new Affine(scale, -offset);
  }

  private static void round(
      float[] x, int from, int count, float inverse, float offset, int most, byte[] quants) {
    for (int i = 0; i < count; i++) {
      int q = (int) Math.rint(inverse * (x[from + i] - offset));
      quants[i] = (byte) Math.clamp(q, 0, most);
    }
  }

  private static float error(
      float[] x, int from, int count, float[] weights, byte[] quants, float scale, float offset) {
    float sum = 0;
    for (int i = 0; i < count; i++) {
      float difference = scale * quants[i] + offset - x[from + i];
      sum += weights[i] * (difference * difference);
    }
    return sum;
  }

  /**
   * Fits the scale of {@code x ≈ scale · (q − half)} to {@code best.length} elements from {@code
   * x[from]}. The first grid maps the element of largest magnitude to {@code −half}; 18 more map it
   * up to 0.9 beside.
   *
   * @param weights of the elements' errors, from {@code weightsAt}
   * @param best receives the elements' quants, 0 … {@code 2 · half − 1}
   */
  static float symmetric(
      float[] x, int from, float[] weights, int weightsAt, int half, byte[] best) {
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
        float weight = weights[weightsAt + i];
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

  /**
   * Fits the scale of {@code x ≈ scale · q} to values that are not negative: nine grids around the
   * one that ends at the greatest value, then up to five rounds that change single quants where
   * that lowers the weighted error.
   *
   * @param most largest quant
   * @param best receives the quants, 0 … {@code most}
   */
  static float positive(float[] x, float[] weights, int most, int[] best) {
    int n = best.length;
    float greatest = 0;
    for (float value : x) {
      greatest = Math.max(greatest, value);
    }
    if (greatest < NOTHING) {
      Arrays.fill(best, 0);
      return 0;
    }
    float inverse = most / greatest;
    float leastError = Float.POSITIVE_INFINITY;
    for (int step : new int[] {0, -4, -3, -2, -1, 1, 2, 3, 4}) {
      float candidate = (0.1f * step + most) / greatest;
      float error = 0;
      for (int i = 0; i < n; i++) {
        float difference = x[i] - 1 / candidate * roundPositive(candidate * x[i], most);
        error += weights[i] * difference * difference;
      }
      if (error < leastError) {
        leastError = error;
        inverse = candidate;
      }
    }
    float sumXq = 0;
    float sumQq = 0;
    for (int i = 0; i < n; i++) {
      best[i] = roundPositive(inverse * x[i], most);
      sumXq += weights[i] * x[i] * best[i];
      sumQq += weights[i] * best[i] * best[i];
    }
    boolean changed = true;
    for (int round = 0; changed && round < 5; round++) {
      changed = false;
      for (int i = 0; i < n; i++) {
        float othersXq = sumXq - weights[i] * x[i] * best[i];
        float othersQq = sumQq - weights[i] * best[i] * best[i];
        if (othersXq > 0 && othersQq > 0) {
          int q = roundPositive(x[i] * othersQq / othersXq, most);
          float newXq = othersXq + weights[i] * x[i] * q;
          float newQq = othersQq + weights[i] * q * q;
          if (q != best[i] && newXq * newXq * sumQq > sumXq * sumXq * newQq) {
            best[i] = q;
            sumXq = newXq;
            sumQq = newQq;
            changed = true;
          }
        }
      }
    }
    return sumQq > 0 ? sumXq / sumQq : 0;
  }

  private static int roundPositive(float scaled, int most) {
    return Math.clamp((int) Math.rint(scaled), 0, most);
  }
}
