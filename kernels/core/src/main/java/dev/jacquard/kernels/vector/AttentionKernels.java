package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Inner loops of attention over pages that were expanded to floats. Each sum is one chain in the
 * order of the sizes or tokens, whatever the number of queries that a call serves. Two queries
 * times four vectors need 13 registers, and few broadcasts for their multiply-adds. Queries lie
 * {@code keySize} apart, sums {@code stride} apart.
 */
final class AttentionKernels {
  private AttentionKernels() {}

  /** Scores of the 64 tokens of four pages for 2 queries. */
  static void score2x4(
      float[] keys, float[] q, int at, int keySize, float[] target, int to, int stride) {
    int page = keySize * PAGE_TOKENS;
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector s00 = FloatVector.zero(FLOAT);
      FloatVector s01 = FloatVector.zero(FLOAT);
      FloatVector s02 = FloatVector.zero(FLOAT);
      FloatVector s03 = FloatVector.zero(FLOAT);
      FloatVector s10 = FloatVector.zero(FLOAT);
      FloatVector s11 = FloatVector.zero(FLOAT);
      FloatVector s12 = FloatVector.zero(FLOAT);
      FloatVector s13 = FloatVector.zero(FLOAT);
      for (int d = 0; d < keySize; d++) {
        int k = d * PAGE_TOKENS + lane;
        FloatVector k0 = FloatVector.fromArray(FLOAT, keys, k);
        FloatVector k1 = FloatVector.fromArray(FLOAT, keys, k + page);
        FloatVector k2 = FloatVector.fromArray(FLOAT, keys, k + 2 * page);
        FloatVector k3 = FloatVector.fromArray(FLOAT, keys, k + 3 * page);
        FloatVector q0 = FloatVector.broadcast(FLOAT, q[at + d]);
        s00 = k0.fma(q0, s00);
        s01 = k1.fma(q0, s01);
        s02 = k2.fma(q0, s02);
        s03 = k3.fma(q0, s03);
        FloatVector q1 = FloatVector.broadcast(FLOAT, q[at + keySize + d]);
        s10 = k0.fma(q1, s10);
        s11 = k1.fma(q1, s11);
        s12 = k2.fma(q1, s12);
        s13 = k3.fma(q1, s13);
      }
      s00.intoArray(target, to + lane);
      s01.intoArray(target, to + lane + PAGE_TOKENS);
      s02.intoArray(target, to + lane + 2 * PAGE_TOKENS);
      s03.intoArray(target, to + lane + 3 * PAGE_TOKENS);
      s10.intoArray(target, to + stride + lane);
      s11.intoArray(target, to + stride + lane + PAGE_TOKENS);
      s12.intoArray(target, to + stride + lane + 2 * PAGE_TOKENS);
      s13.intoArray(target, to + stride + lane + 3 * PAGE_TOKENS);
    }
  }

  /** Scores of the 64 tokens of four pages for 1 query. */
  static void score1x4(float[] keys, float[] q, int at, int keySize, float[] target, int to) {
    int page = keySize * PAGE_TOKENS;
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector s00 = FloatVector.zero(FLOAT);
      FloatVector s01 = FloatVector.zero(FLOAT);
      FloatVector s02 = FloatVector.zero(FLOAT);
      FloatVector s03 = FloatVector.zero(FLOAT);
      for (int d = 0; d < keySize; d++) {
        int k = d * PAGE_TOKENS + lane;
        FloatVector k0 = FloatVector.fromArray(FLOAT, keys, k);
        FloatVector k1 = FloatVector.fromArray(FLOAT, keys, k + page);
        FloatVector k2 = FloatVector.fromArray(FLOAT, keys, k + 2 * page);
        FloatVector k3 = FloatVector.fromArray(FLOAT, keys, k + 3 * page);
        FloatVector q0 = FloatVector.broadcast(FLOAT, q[at + d]);
        s00 = k0.fma(q0, s00);
        s01 = k1.fma(q0, s01);
        s02 = k2.fma(q0, s02);
        s03 = k3.fma(q0, s03);
      }
      s00.intoArray(target, to + lane);
      s01.intoArray(target, to + lane + PAGE_TOKENS);
      s02.intoArray(target, to + lane + 2 * PAGE_TOKENS);
      s03.intoArray(target, to + lane + 3 * PAGE_TOKENS);
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
    VectorMath.expAndSum(scores, from, to - from, shift, chains);
    return VectorMath.pairwiseSum(chains, VectorMath.EXP_CHAINS);
  }

  /**
   * {@code sum += weight · value} over the tokens from … to − 1, for two queries and values 0 to
   * {@code count} − 1, a multiple of four vectors.
   */
  static void add2x4(
      float[] values,
      int stride,
      int count,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int weightStride,
      float[] sums,
      int at) {
    for (int d = 0; d < count; d += 4 * FLOATS) {
      int s = at + d;
      FloatVector s00 = FloatVector.fromArray(FLOAT, sums, s);
      FloatVector s01 = FloatVector.fromArray(FLOAT, sums, s + FLOATS);
      FloatVector s02 = FloatVector.fromArray(FLOAT, sums, s + 2 * FLOATS);
      FloatVector s03 = FloatVector.fromArray(FLOAT, sums, s + 3 * FLOATS);
      FloatVector s10 = FloatVector.fromArray(FLOAT, sums, s + stride);
      FloatVector s11 = FloatVector.fromArray(FLOAT, sums, s + stride + FLOATS);
      FloatVector s12 = FloatVector.fromArray(FLOAT, sums, s + stride + 2 * FLOATS);
      FloatVector s13 = FloatVector.fromArray(FLOAT, sums, s + stride + 3 * FLOATS);
      for (int t = from; t < to; t++) {
        int v = t * stride + d;
        FloatVector v0 = FloatVector.fromArray(FLOAT, values, v);
        FloatVector v1 = FloatVector.fromArray(FLOAT, values, v + FLOATS);
        FloatVector v2 = FloatVector.fromArray(FLOAT, values, v + 2 * FLOATS);
        FloatVector v3 = FloatVector.fromArray(FLOAT, values, v + 3 * FLOATS);
        FloatVector w0 = FloatVector.broadcast(FLOAT, weights[weightsAt + t]);
        s00 = v0.fma(w0, s00);
        s01 = v1.fma(w0, s01);
        s02 = v2.fma(w0, s02);
        s03 = v3.fma(w0, s03);
        FloatVector w1 = FloatVector.broadcast(FLOAT, weights[weightsAt + weightStride + t]);
        s10 = v0.fma(w1, s10);
        s11 = v1.fma(w1, s11);
        s12 = v2.fma(w1, s12);
        s13 = v3.fma(w1, s13);
      }
      s00.intoArray(sums, s);
      s01.intoArray(sums, s + FLOATS);
      s02.intoArray(sums, s + 2 * FLOATS);
      s03.intoArray(sums, s + 3 * FLOATS);
      s10.intoArray(sums, s + stride);
      s11.intoArray(sums, s + stride + FLOATS);
      s12.intoArray(sums, s + stride + 2 * FLOATS);
      s13.intoArray(sums, s + stride + 3 * FLOATS);
    }
  }

  /** The same for two queries and the values from {@code first} on. */
  static void add2(
      float[] values,
      int stride,
      int first,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int weightStride,
      float[] sums,
      int at) {
    for (int d = first; d < stride; d += FLOATS) {
      FloatVector s0 = FloatVector.fromArray(FLOAT, sums, at + d);
      FloatVector s1 = FloatVector.fromArray(FLOAT, sums, at + stride + d);
      for (int t = from; t < to; t++) {
        FloatVector v = FloatVector.fromArray(FLOAT, values, t * stride + d);
        s0 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + t]), s0);
        s1 = v.fma(FloatVector.broadcast(FLOAT, weights[weightsAt + weightStride + t]), s1);
      }
      s0.intoArray(sums, at + d);
      s1.intoArray(sums, at + stride + d);
    }
  }

  /** The same for one query and all values. */
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
      FloatVector s = FloatVector.fromArray(FLOAT, sums, at + d);
      for (int t = from; t < to; t++) {
        s =
            FloatVector.fromArray(FLOAT, values, t * stride + d)
                .fma(FloatVector.broadcast(FLOAT, weights[weightsAt + t]), s);
      }
      s.intoArray(sums, at + d);
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
