package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Inner loops of {@link CertifiedSelection} and {@link TierReader}. A token's <em>rank</em> is its
 * weight divided by the least weight that is read in 4 bits, the largest over the heads: below 1 it
 * enters as the mean of its page.
 */
final class TierKernels {
  private static final int[] SIXTEENTHS = new int[PAGE_TOKENS];

  static {
    Arrays.setAll(SIXTEENTHS, i -> i * PAGE_TOKENS);
  }

  /** Added to the root of a sum of squares: what underflow may have taken from it. */
  static final float UNDERFLOW = 0x1p-72f;

  private TierKernels() {}

  /**
   * The largest of {@code scores[from … from + count)}, a multiple of 64, and the magnitude of the
   * largest that is finite, lane by lane: {@code lanes[0 … 16)} and {@code lanes[16 … 32)}. NaN
   * where one is NaN.
   */
  static void extremes(float[] scores, int from, int count, float[] lanes) {
    FloatVector infinite = FloatVector.broadcast(FLOAT, Float.NEGATIVE_INFINITY);
    FloatVector zero = FloatVector.zero(FLOAT);
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector m0 = infinite;
      FloatVector m1 = infinite;
      FloatVector m2 = infinite;
      FloatVector m3 = infinite;
      FloatVector a0 = zero;
      FloatVector a1 = zero;
      FloatVector a2 = zero;
      FloatVector a3 = zero;
      for (int i = from + lane; i < from + count; i += 4 * PAGE_TOKENS) {
        FloatVector x0 = FloatVector.fromArray(FLOAT, scores, i);
        FloatVector x1 = FloatVector.fromArray(FLOAT, scores, i + PAGE_TOKENS);
        FloatVector x2 = FloatVector.fromArray(FLOAT, scores, i + 2 * PAGE_TOKENS);
        FloatVector x3 = FloatVector.fromArray(FLOAT, scores, i + 3 * PAGE_TOKENS);
        m0 = m0.max(x0);
        m1 = m1.max(x1);
        m2 = m2.max(x2);
        m3 = m3.max(x3);
        a0 = a0.max(x0.abs().blend(zero, x0.eq(infinite)));
        a1 = a1.max(x1.abs().blend(zero, x1.eq(infinite)));
        a2 = a2.max(x2.abs().blend(zero, x2.eq(infinite)));
        a3 = a3.max(x3.abs().blend(zero, x3.eq(infinite)));
      }
      m0.max(m1).max(m2.max(m3)).intoArray(lanes, lane);
      a0.max(a1).max(a2.max(a3)).intoArray(lanes, PAGE_TOKENS + lane);
    }
  }

  /** Ranks by the first head: {@code ranks[i] = weights[at + i] · factor}. */
  static void rank(float[] weights, int at, int count, float factor, float[] ranks) {
    for (int i = 0; i < count; i += FLOATS) {
      FloatVector.fromArray(FLOAT, weights, at + i).mul(factor).intoArray(ranks, i);
    }
  }

  /** Raises ranks to those by another head. */
  static void raise(float[] weights, int at, int count, float factor, float[] ranks) {
    for (int i = 0; i < count; i += FLOATS) {
      FloatVector own = FloatVector.fromArray(FLOAT, weights, at + i).mul(factor);
      FloatVector rank = FloatVector.fromArray(FLOAT, ranks, i);
      rank.blend(own, own.compare(VectorOperators.GT, rank)).intoArray(ranks, i);
    }
  }

  /** The same for a block of a sample, whose pages have factors of their own. */
  static void raiseSample(
      float[] weights, int at, float[] factors, int factorsAt, float factor, float[] ranks) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector f = FloatVector.fromArray(FLOAT, factors, factorsAt + lane).mul(factor);
      for (int i = lane; i < PAGE_TOKENS * PAGE_TOKENS; i += PAGE_TOKENS) {
        FloatVector own = FloatVector.fromArray(FLOAT, weights, at + i).mul(f);
        FloatVector rank = FloatVector.fromArray(FLOAT, ranks, i);
        rank.blend(own, own.compare(VectorOperators.GT, rank)).intoArray(ranks, i);
      }
    }
  }

  /** For each page, the bits of the tokens whose rank is at least {@code least}. */
  static void atLeast(float[] ranks, int pages, float least, char[] bitsOf, int at) {
    for (int p = 0; p < pages; p++) {
      long bits = 0;
      for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
        bits |=
            FloatVector.fromArray(FLOAT, ranks, p * PAGE_TOKENS + lane)
                    .compare(VectorOperators.GE, least)
                    .toLong()
                << lane;
      }
      bitsOf[at + p] = (char) bits;
    }
  }

  /**
   * Weights of the tokens that enter as page means and their squares, 0 for the others; and the
   * weights times residuals of those that are read in 4 bits, summed in 16 chains.
   *
   * @param far for each page from {@code first} on, the bits of the tokens that enter as its mean
   */
  static void split(
      float[] weights,
      int at,
      float[] residuals,
      char[] far,
      char[] coarse,
      int first,
      int end,
      float[] farWeights,
      float[] squares,
      float[] chains) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector zero = FloatVector.zero(FLOAT);
      FloatVector sum = zero;
      for (int e = first; e < end; e++) {
        int i = (e - first) * PAGE_TOKENS + lane;
        FloatVector w = FloatVector.fromArray(FLOAT, weights, at + i);
        FloatVector light = zero.blend(w, VectorMask.fromLong(FLOAT, far[e - first] >> lane));
        light.intoArray(farWeights, i);
        light.mul(light).intoArray(squares, i);
        sum =
            sum.add(
                zero.blend(
                    w.mul(FloatVector.fromArray(FLOAT, residuals, i)),
                    VectorMask.fromLong(FLOAT, coarse[e] >> lane)));
      }
      sum.intoArray(chains, lane);
    }
  }

  /** Adds {@code (√squares + UNDERFLOW) · stretch} of pages, a multiple of 16, to 16 chains. */
  static void addStretched(float[] squares, int pages, float[] stretches, int at, float[] chains) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector sum = FloatVector.fromArray(FLOAT, chains, lane);
      for (int p = lane; p < pages; p += PAGE_TOKENS) {
        sum =
            FloatVector.fromArray(FLOAT, squares, p)
                .sqrt()
                .add(UNDERFLOW)
                .fma(FloatVector.fromArray(FLOAT, stretches, at + p), sum);
      }
      sum.intoArray(chains, lane);
    }
  }

  /** Numbers {@code from[at + places[i]]} for a multiple of 16 places. */
  static void gather(float[] from, int at, int[] places, int count, float[] target, int to) {
    for (int i = 0; i < count; i += FLOATS) {
      FloatVector.fromArray(FLOAT, from, at, places, i).intoArray(target, to + i);
    }
  }

  /** Spreads the 16 numbers of a page: every sixteenth place from {@code to} on. */
  static void scatter(float[] from, int at, float[] target, int to) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector.fromArray(FLOAT, from, at + lane).intoArray(target, to, SIXTEENTHS, lane);
    }
  }

  /**
   * What tokens cost a head, 16 pages side by side: {@code weights[at + 16 · token + page]}.
   *
   * @param chains receives a sum for each page
   */
  static void cost(
      float[] weights,
      int at,
      float[] factors,
      int factorsAt,
      float[] ranks,
      float fine,
      float[] residuals,
      int residualsAt,
      float[] stretches,
      int stretchesAt,
      float[] chains) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector zero = FloatVector.zero(FLOAT);
      FloatVector squares = zero;
      FloatVector sum = zero;
      for (int t = 0; t < PAGE_TOKENS; t++) {
        int i = t * PAGE_TOKENS + lane;
        FloatVector w = FloatVector.fromArray(FLOAT, weights, at + i);
        FloatVector rank = FloatVector.fromArray(FLOAT, ranks, i);
        VectorMask<Float> light = rank.lt(1);
        VectorMask<Float> middle = rank.lt(fine).andNot(light);
        FloatVector far = zero.blend(w, light);
        squares = far.fma(far, squares);
        FloatVector cost = w.mul(FloatVector.fromArray(FLOAT, residuals, residualsAt + i));
        sum = sum.add(zero.blend(cost, middle));
      }
      squares
          .sqrt()
          .fma(FloatVector.fromArray(FLOAT, stretches, stretchesAt + lane), sum)
          .mul(FloatVector.fromArray(FLOAT, factors, factorsAt + lane))
          .intoArray(chains, lane);
    }
  }

  /** Halves to floats: a plain loop, which the compiler turns into conversion instructions. */
  static void toFloats(short[] halves, int count, float[] target) {
    for (int i = 0; i < count; i++) {
      target[i] = Float.float16ToFloat(halves[i]);
    }
  }
}
