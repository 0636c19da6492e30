package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Functions of float vectors that give the same bits at every width, warmed up or not. {@code
 * FloatVector.lanewise(EXP)} and {@code reduceLanes(ADD)} promise neither.
 */
final class VectorMath {
  private static final float LOG2_E = 0x1.715476p0f;
  // ln 2 in two parts: with a fused multiply-add the remainder loses nothing.
  private static final float LN2_HIGH = 0x1.62e43p-1f;
  private static final float LN2_LOW = (float) (0x1.62e42fefa39efp-1 - 0x1.62e43p-1);
  // Adding 1.5·2²³ leaves the nearest integer in the low bits of the mantissa.
  private static final float ROUND = 0x1.8p23f;
  private static final float SQRT_2_OVER_PI = (float) Math.sqrt(2 / Math.PI);
  private static final float LARGEST = 88.7228f;
  // Below, results would be subnormal; they become 0.
  private static final float SMALLEST = -87.33f;

  private VectorMath() {}

  /**
   * {@code eˣ}, within 2 units in the last place (tested); 0 below −87.33 and infinity above
   * 88.7228. By {@code x = n·ln 2 + r} and the Taylor polynomial of degree 7, whose remainder on
   * |r| ≤ ln 2 / 2 is 5e-9.
   */
  static FloatVector exp(FloatVector x) {
    FloatVector shifted = x.fma(FloatVector.broadcast(FLOAT, LOG2_E), broadcast(ROUND));
    FloatVector n = shifted.sub(ROUND);
    FloatVector r = n.fma(broadcast(-LN2_LOW), n.fma(broadcast(-LN2_HIGH), x));
    FloatVector p = broadcast(1f / 5040);
    p = p.fma(r, broadcast(1f / 720));
    p = p.fma(r, broadcast(1f / 120));
    p = p.fma(r, broadcast(1f / 24));
    p = p.fma(r, broadcast(1f / 6));
    p = p.fma(r, broadcast(0.5f));
    p = p.fma(r, broadcast(1));
    p = p.fma(r, broadcast(1));
    // The low bits of `shifted` are n: shifted to the exponent they multiply by 2ⁿ.
    IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector y = p.reinterpretAsInts().add(power).reinterpretAsFloats();
    return y.blend(0f, x.lt(SMALLEST))
        .blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, LARGEST))
        .blend(x, x.compare(VectorOperators.NE, x));
  }

  /** The same bits as {@link #exp(FloatVector)}. */
  static float exp(float x) {
    if (Float.isNaN(x)) {
      return x;
    }
    if (x < SMALLEST) {
      return 0;
    }
    if (x > LARGEST) {
      return Float.POSITIVE_INFINITY;
    }
    float shifted = Math.fma(x, LOG2_E, ROUND);
    float n = shifted - ROUND;
    float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, x));
    float p = 1f / 5040;
    p = Math.fma(p, r, 1f / 720);
    p = Math.fma(p, r, 1f / 120);
    p = Math.fma(p, r, 1f / 24);
    p = Math.fma(p, r, 1f / 6);
    p = Math.fma(p, r, 0.5f);
    p = Math.fma(p, r, 1);
    p = Math.fma(p, r, 1);
    int power = Float.floatToRawIntBits(shifted) << 23;
    return Float.intBitsToFloat(Float.floatToRawIntBits(p) + power);
  }

  /** {@code tanh x} with an absolute error below 3e-7 (tested), by {@code 1 − 2 / (e²ˣ + 1)}. */
  static FloatVector tanh(FloatVector x) {
    return broadcast(1).sub(broadcast(2).div(exp(x.add(x)).add(1)));
  }

  /** {@code x · sigmoid(x)}; relative error below 4e-7 where |x| ≤ 80 (tested). */
  static FloatVector silu(FloatVector x) {
    return x.div(exp(x.neg()).add(1));
  }

  /**
   * GELU by the tanh formula, written {@code x · sigmoid(2u)} with {@code u = √(2/π)·(x +
   * 0.044715·x³)}, which does not cancel; error below 1e-6 · max(|GELU(x)|, 0.1) (tested).
   */
  static FloatVector geluTanh(FloatVector x) {
    FloatVector cube = x.mul(x).mul(x);
    FloatVector u = cube.fma(broadcast(0.044715f), x).mul(-2 * SQRT_2_OVER_PI);
    return x.div(exp(u).add(1));
  }

  /** {@code a · b} summed in 32 interleaved chains, then pairwise: one order at every width. */
  static float dot(float[] a, int aOffset, float[] b, int bOffset, int count, float[] chains) {
    for (int lane = 0; lane < CHAINS; lane += FLOATS) {
      FloatVector sum = FloatVector.zero(FLOAT);
      int k = lane;
      for (; k + FLOATS <= count; k += CHAINS) {
        sum =
            FloatVector.fromArray(FLOAT, a, aOffset + k)
                .fma(FloatVector.fromArray(FLOAT, b, bOffset + k), sum);
      }
      if (k < count) {
        VectorMask<Float> rest = FLOAT.indexInRange(k, count);
        sum =
            FloatVector.fromArray(FLOAT, a, aOffset + k, rest)
                .fma(FloatVector.fromArray(FLOAT, b, bOffset + k, rest), sum);
      }
      sum.intoArray(chains, lane);
    }
    return pairwiseSum(chains, CHAINS);
  }

  /** Number of interleaved chains of {@link #dot}. */
  static final int CHAINS = 32;

  /** Sums a power of two of values, halving; destroys them. */
  static float pairwiseSum(float[] values, int count) {
    for (int half = count / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; i++) {
        values[i] += values[i + half];
      }
    }
    return values[0];
  }

  private static FloatVector broadcast(float x) {
    return FloatVector.broadcast(FLOAT, x);
  }
}
