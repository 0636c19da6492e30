package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Functions of many floats that give the same bits at every width, warmed up or not. {@code
 * FloatVector.lanewise(EXP)} and {@code reduceLanes(ADD)} promise neither.
 *
 * <p>They take arrays, not vectors: a vector that is passed to a method which the compiler does not
 * inline is an object on the heap, and no method of ours can be forced to be inlined: not even one
 * of a line.
 */
final class VectorMath {
  static final float LOG2_E = 0x1.715476p0f;
  // ln 2 in two parts: with a fused multiply-add the remainder loses nothing.
  static final float LN2_HIGH = 0x1.62e43p-1f;
  static final float LN2_LOW = (float) (0x1.62e42fefa39efp-1 - 0x1.62e43p-1);
  // Adding 1.5·2²³ leaves the nearest integer in the low bits of the mantissa.
  static final float ROUND = 0x1.8p23f;
  private static final float SQRT_2_OVER_PI = (float) Math.sqrt(2 / Math.PI);
  private static final float LARGEST = 88.7228f;
  // Below, results would be subnormal; they become 0.
  static final float SMALLEST = -87.33f;

  private VectorMath() {}

  /**
   * Replaces {@code x[at … at + count)} by {@code eˣ}, within 2 units in the last place (tested); 0
   * below −87.33 and infinity above 88.7228. By {@code x = n·ln 2 + r} and the Taylor polynomial of
   * degree 7, whose remainder on |r| ≤ ln 2 / 2 is 5e-9.
   */
  static void exp(float[] x, int at, int count) {
    int i = at;
    for (; i + FLOATS <= at + count; i += FLOATS) {
      FloatVector v = FloatVector.fromArray(FLOAT, x, i);
      FloatVector shifted =
          v.fma(FloatVector.broadcast(FLOAT, LOG2_E), FloatVector.broadcast(FLOAT, ROUND));
      FloatVector n = shifted.sub(ROUND);
      FloatVector r =
          n.fma(
              FloatVector.broadcast(FLOAT, -LN2_LOW),
              n.fma(FloatVector.broadcast(FLOAT, -LN2_HIGH), v));
      FloatVector p = FloatVector.broadcast(FLOAT, 1f / 5040);
      p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 720));
      p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 120));
      p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 24));
      p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 6));
      p = p.fma(r, FloatVector.broadcast(FLOAT, 0.5f));
      p = p.fma(r, FloatVector.broadcast(FLOAT, 1));
      p = p.fma(r, FloatVector.broadcast(FLOAT, 1));
      // The low bits of `shifted` are n: shifted to the exponent they multiply by 2ⁿ.
      IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
      p.reinterpretAsInts()
          .add(power)
          .reinterpretAsFloats()
          .blend(0f, v.lt(SMALLEST))
          .blend(Float.POSITIVE_INFINITY, v.compare(VectorOperators.GT, LARGEST))
          .blend(v, v.compare(VectorOperators.NE, v))
          .intoArray(x, i);
    }
    for (; i < at + count; i++) {
      x[i] = exp(x[i]);
    }
  }

  /**
   * Replaces {@code x[at … at + count)} by {@code e^(x − shift)}, with the bits of {@link
   * #exp(float[], int, int)}, and adds them to 16 interleaved chains.
   *
   * @param count a multiple of 16
   * @param chains the sums; what stands there before is lost
   */
  static void expAndSum(float[] x, int at, int count, float shift, float[] chains) {
    for (int lane = 0; lane < EXP_CHAINS; lane += FLOATS) {
      FloatVector sum = FloatVector.zero(FLOAT);
      for (int i = at + lane; i < at + count; i += EXP_CHAINS) {
        FloatVector v = FloatVector.fromArray(FLOAT, x, i).sub(shift);
        FloatVector shifted =
            v.fma(FloatVector.broadcast(FLOAT, LOG2_E), FloatVector.broadcast(FLOAT, ROUND));
        FloatVector n = shifted.sub(ROUND);
        FloatVector r =
            n.fma(
                FloatVector.broadcast(FLOAT, -LN2_LOW),
                n.fma(FloatVector.broadcast(FLOAT, -LN2_HIGH), v));
        FloatVector p = FloatVector.broadcast(FLOAT, 1f / 5040);
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 720));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 120));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 24));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 6));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 0.5f));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1));
        IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
        FloatVector e =
            p.reinterpretAsInts()
                .add(power)
                .reinterpretAsFloats()
                .blend(0f, v.lt(SMALLEST))
                .blend(Float.POSITIVE_INFINITY, v.compare(VectorOperators.GT, LARGEST))
                .blend(v, v.compare(VectorOperators.NE, v));
        e.intoArray(x, i);
        sum = sum.add(e);
      }
      sum.intoArray(chains, lane);
    }
  }

  /** Number of interleaved chains of {@link #expAndSum}. */
  static final int EXP_CHAINS = 16;

  /** The same bits as {@link #exp(float[], int, int)}. */
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

  /**
   * Replaces scores by {@code limit · tanh(score / limit)}, with an absolute error below 3e-7 ·
   * limit (tested), by {@code tanh x = 1 − 2 / (e²ˣ + 1)}. An infinite score is a fault of a query
   * or a key, which a limit would hide: it becomes NaN.
   */
  static void cap(float[] scores, int at, int count, float limit) {
    for (int i = at; i < at + count; i++) {
      scores[i] = scores[i] / limit * 2 + 0 * scores[i];
    }
    exp(scores, at, count);
    for (int i = at; i < at + count; i++) {
      scores[i] = limit * (1 - 2 / (scores[i] + 1));
    }
  }

  /**
   * {@code gate = gate · sigmoid(gate) · up} for {@code count} values; relative error of the first
   * product below 4e-7 where |gate| ≤ 80 (tested).
   *
   * @param buffer room for {@code count} values at {@code bufferAt}
   */
  static void gateSilu(
      float[] gate, int gateAt, float[] up, int upAt, int count, float[] buffer, int bufferAt) {
    for (int i = 0; i < count; i++) {
      buffer[bufferAt + i] = -gate[gateAt + i];
    }
    exp(buffer, bufferAt, count);
    divide(gate, gateAt, up, upAt, count, buffer, bufferAt);
  }

  /**
   * {@code gate = gelu(gate) · up} for {@code count} values. GELU by the tanh formula, written
   * {@code x · sigmoid(2u)} with {@code u = √(2/π)·(x + 0.044715·x³)}, which does not cancel; its
   * error is below 1e-6 · max(|GELU(x)|, 0.1) (tested).
   *
   * @param buffer room for {@code count} values at {@code bufferAt}
   */
  static void gateGelu(
      float[] gate, int gateAt, float[] up, int upAt, int count, float[] buffer, int bufferAt) {
    for (int i = 0; i < count; i++) {
      float x = gate[gateAt + i];
      buffer[bufferAt + i] = (x + 0.044715f * (x * x * x)) * (-2 * SQRT_2_OVER_PI);
    }
    exp(buffer, bufferAt, count);
    divide(gate, gateAt, up, upAt, count, buffer, bufferAt);
  }

  private static void divide(
      float[] gate, int gateAt, float[] up, int upAt, int count, float[] buffer, int bufferAt) {
    for (int i = 0; i < count; i++) {
      gate[gateAt + i] = gate[gateAt + i] / (buffer[bufferAt + i] + 1) * up[upAt + i];
    }
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
}
