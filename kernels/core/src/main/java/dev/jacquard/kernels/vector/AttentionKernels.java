package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Inner loops of attention over pages that were expanded to floats. Each sum is one chain in the
 * order of the sizes or tokens, whatever the number of queries that a call serves. Queries lie
 * {@code keySize} apart, sums {@code stride} apart.
 */
final class AttentionKernels {
  private AttentionKernels() {}

  /** Scores of the 16 tokens of a page for 8 queries. */
  static void score8(
      float[] keys, float[] q, int at, int keySize, float[] target, int to, int stride) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector s0 = FloatVector.zero(FLOAT);
      FloatVector s1 = FloatVector.zero(FLOAT);
      FloatVector s2 = FloatVector.zero(FLOAT);
      FloatVector s3 = FloatVector.zero(FLOAT);
      FloatVector s4 = FloatVector.zero(FLOAT);
      FloatVector s5 = FloatVector.zero(FLOAT);
      FloatVector s6 = FloatVector.zero(FLOAT);
      FloatVector s7 = FloatVector.zero(FLOAT);
      for (int d = 0; d < keySize; d++) {
        FloatVector k = FloatVector.fromArray(FLOAT, keys, d * PAGE_TOKENS + lane);
        s0 = k.fma(FloatVector.broadcast(FLOAT, q[at + d]), s0);
        s1 = k.fma(FloatVector.broadcast(FLOAT, q[at + keySize + d]), s1);
        s2 = k.fma(FloatVector.broadcast(FLOAT, q[at + 2 * keySize + d]), s2);
        s3 = k.fma(FloatVector.broadcast(FLOAT, q[at + 3 * keySize + d]), s3);
        s4 = k.fma(FloatVector.broadcast(FLOAT, q[at + 4 * keySize + d]), s4);
        s5 = k.fma(FloatVector.broadcast(FLOAT, q[at + 5 * keySize + d]), s5);
        s6 = k.fma(FloatVector.broadcast(FLOAT, q[at + 6 * keySize + d]), s6);
        s7 = k.fma(FloatVector.broadcast(FLOAT, q[at + 7 * keySize + d]), s7);
      }
      s0.intoArray(target, to + lane);
      s1.intoArray(target, to + stride + lane);
      s2.intoArray(target, to + 2 * stride + lane);
      s3.intoArray(target, to + 3 * stride + lane);
      s4.intoArray(target, to + 4 * stride + lane);
      s5.intoArray(target, to + 5 * stride + lane);
      s6.intoArray(target, to + 6 * stride + lane);
      s7.intoArray(target, to + 7 * stride + lane);
    }
  }

  /** Scores of the 16 tokens of a page for 4 queries. */
  static void score4(
      float[] keys, float[] q, int at, int keySize, float[] target, int to, int stride) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector s0 = FloatVector.zero(FLOAT);
      FloatVector s1 = FloatVector.zero(FLOAT);
      FloatVector s2 = FloatVector.zero(FLOAT);
      FloatVector s3 = FloatVector.zero(FLOAT);
      for (int d = 0; d < keySize; d++) {
        FloatVector k = FloatVector.fromArray(FLOAT, keys, d * PAGE_TOKENS + lane);
        s0 = k.fma(FloatVector.broadcast(FLOAT, q[at + d]), s0);
        s1 = k.fma(FloatVector.broadcast(FLOAT, q[at + keySize + d]), s1);
        s2 = k.fma(FloatVector.broadcast(FLOAT, q[at + 2 * keySize + d]), s2);
        s3 = k.fma(FloatVector.broadcast(FLOAT, q[at + 3 * keySize + d]), s3);
      }
      s0.intoArray(target, to + lane);
      s1.intoArray(target, to + stride + lane);
      s2.intoArray(target, to + 2 * stride + lane);
      s3.intoArray(target, to + 3 * stride + lane);
    }
  }

  /** Scores of the 16 tokens of a page for 1 query. */
  static void score1(float[] keys, float[] q, int at, int keySize, float[] target, int to) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector s0 = FloatVector.zero(FLOAT);
      for (int d = 0; d < keySize; d++) {
        FloatVector k = FloatVector.fromArray(FLOAT, keys, d * PAGE_TOKENS + lane);
        s0 = k.fma(FloatVector.broadcast(FLOAT, q[at + d]), s0);
      }
      s0.intoArray(target, to + lane);
    }
  }

  /** The 16 scores at {@code at}: {@code limit · tanh(score / limit)}. */
  static void cap(float[] scores, int at, float limit) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector s = FloatVector.fromArray(FLOAT, scores, at + lane);
      VectorMath.tanh(s.div(limit)).mul(limit).intoArray(scores, at + lane);
    }
  }

  /** The largest of {@code scores[from … to)}, a multiple of 16; NaN if one is NaN. */
  static float maximum(float[] scores, int from, int to) {
    FloatVector m = FloatVector.fromArray(FLOAT, scores, from);
    for (int i = from + FLOATS; i < to; i += FLOATS) {
      m = m.max(FloatVector.fromArray(FLOAT, scores, i));
    }
    return m.reduceLanes(VectorOperators.MAX);
  }

  /**
   * Turns scores into {@code e^(score − maximum)} and returns their sum: 16 chains, then pairwise.
   * A maximum of −∞ gives zeros.
   */
  static float exponentials(float[] scores, int from, int to, float maximum, float[] chains) {
    float shift = maximum == Float.NEGATIVE_INFINITY ? 0 : maximum;
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector sum = FloatVector.zero(FLOAT);
      for (int i = from + lane; i < to; i += PAGE_TOKENS) {
        FloatVector e = VectorMath.exp(FloatVector.fromArray(FLOAT, scores, i).sub(shift));
        e.intoArray(scores, i);
        sum = sum.add(e);
      }
      sum.intoArray(chains, lane);
    }
    return VectorMath.pairwiseSum(chains, PAGE_TOKENS);
  }

  /** {@code sum += weight · value} over the tokens from … to − 1, for 8 queries. */
  static void add8(
      float[] values,
      int stride,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int weightStride,
      float[] sums,
      int at) {
    for (int d = 0; d < stride; d += FLOATS) {
      FloatVector s0 = FloatVector.fromArray(FLOAT, sums, at + d);
      FloatVector s1 = FloatVector.fromArray(FLOAT, sums, at + stride + d);
      FloatVector s2 = FloatVector.fromArray(FLOAT, sums, at + 2 * stride + d);
      FloatVector s3 = FloatVector.fromArray(FLOAT, sums, at + 3 * stride + d);
      FloatVector s4 = FloatVector.fromArray(FLOAT, sums, at + 4 * stride + d);
      FloatVector s5 = FloatVector.fromArray(FLOAT, sums, at + 5 * stride + d);
      FloatVector s6 = FloatVector.fromArray(FLOAT, sums, at + 6 * stride + d);
      FloatVector s7 = FloatVector.fromArray(FLOAT, sums, at + 7 * stride + d);
      for (int t = from; t < to; t++) {
        FloatVector v = FloatVector.fromArray(FLOAT, values, t * stride + d);
        s0 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + t]), s0);
        s1 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + weightStride + t]), s1);
        s2 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 2 * weightStride + t]), s2);
        s3 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 3 * weightStride + t]), s3);
        s4 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 4 * weightStride + t]), s4);
        s5 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 5 * weightStride + t]), s5);
        s6 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 6 * weightStride + t]), s6);
        s7 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 7 * weightStride + t]), s7);
      }
      s0.intoArray(sums, at + d);
      s1.intoArray(sums, at + stride + d);
      s2.intoArray(sums, at + 2 * stride + d);
      s3.intoArray(sums, at + 3 * stride + d);
      s4.intoArray(sums, at + 4 * stride + d);
      s5.intoArray(sums, at + 5 * stride + d);
      s6.intoArray(sums, at + 6 * stride + d);
      s7.intoArray(sums, at + 7 * stride + d);
    }
  }

  /** {@code sum += weight · value} over the tokens from … to − 1, for 4 queries. */
  static void add4(
      float[] values,
      int stride,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int weightStride,
      float[] sums,
      int at) {
    for (int d = 0; d < stride; d += FLOATS) {
      FloatVector s0 = FloatVector.fromArray(FLOAT, sums, at + d);
      FloatVector s1 = FloatVector.fromArray(FLOAT, sums, at + stride + d);
      FloatVector s2 = FloatVector.fromArray(FLOAT, sums, at + 2 * stride + d);
      FloatVector s3 = FloatVector.fromArray(FLOAT, sums, at + 3 * stride + d);
      for (int t = from; t < to; t++) {
        FloatVector v = FloatVector.fromArray(FLOAT, values, t * stride + d);
        s0 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + t]), s0);
        s1 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + weightStride + t]), s1);
        s2 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 2 * weightStride + t]), s2);
        s3 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + 3 * weightStride + t]), s3);
      }
      s0.intoArray(sums, at + d);
      s1.intoArray(sums, at + stride + d);
      s2.intoArray(sums, at + 2 * stride + d);
      s3.intoArray(sums, at + 3 * stride + d);
    }
  }

  /** {@code sum += weight · value} over the tokens from … to − 1, for 1 query. */
  static void add1(
      float[] values,
      int stride,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      float[] sums,
      int at) {
    for (int d = 0; d < stride; d += FLOATS) {
      FloatVector s0 = FloatVector.fromArray(FLOAT, sums, at + d);
      for (int t = from; t < to; t++) {
        FloatVector v = FloatVector.fromArray(FLOAT, values, t * stride + d);
        s0 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + t]), s0);
      }
      s0.intoArray(sums, at + d);
    }
  }

  /** {@code total = total · keep + part · take}. */
  static void blend(
      float[] total, int to, float keep, float[] part, int from, float take, int count) {
    for (int d = 0; d < count; d += FLOATS) {
      FloatVector.fromArray(FLOAT, part, from + d)
          .mul(take)
          .add(FloatVector.fromArray(FLOAT, total, to + d).mul(keep))
          .intoArray(total, to + d);
    }
  }
}
