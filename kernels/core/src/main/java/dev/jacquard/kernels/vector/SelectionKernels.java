package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Inner loops over sums of sketch steps; one page after the other, its tokens in lanes. */
final class SelectionKernels {
  /** As many shorts as a vector has floats. */
  private static final VectorSpecies<Short> SUMS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(Lanes.bits() / 2));

  private SelectionKernels() {}

  /** The largest of some sums. */
  static short largest(short[] sums, int at, int count) {
    ShortVector largest = ShortVector.broadcast(SUMS, Short.MIN_VALUE);
    for (int i = at; i < at + count; i += FLOATS) {
      largest = largest.max(ShortVector.fromArray(SUMS, sums, i));
    }
    return largest.reduceLanes(VectorOperators.MAX);
  }

  /** Sets the bits of tokens with {@code threshold} steps or more. */
  static void keep(short[] sums, int at, short threshold, char[] fine, int first, int end) {
    for (int e = first; e < end; e++) {
      long bits = 0;
      for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
        bits |=
            ShortVector.fromArray(SUMS, sums, at + (e - first) * PAGE_TOKENS + lane)
                    .compare(VectorOperators.GE, threshold)
                    .toLong()
                << lane;
      }
      fine[e] |= (char) bits;
    }
  }

  /** Scores: {@code step · sum + base}. */
  static void scores(short[] sums, int at, int count, float step, float base, float[] target) {
    for (int i = 0; i < count; i += FLOATS) {
      ((FloatVector)
              ShortVector.fromArray(SUMS, sums, at + i).convertShape(VectorOperators.S2F, FLOAT, 0))
          .fma(FloatVector.broadcast(FLOAT, step), FloatVector.broadcast(FLOAT, base))
          .intoArray(target, i);
    }
  }

  /** Subtracts the largest score; −∞ for tokens that are read in 8 bits or not estimated. */
  static void hide(
      short[] sums, int at, float largest, char[] fine, int first, int end, float[] scores) {
    for (int e = first; e < end; e++) {
      for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
        int i = (e - first) * PAGE_TOKENS + lane;
        VectorMask<Float> none =
            ShortVector.fromArray(SUMS, sums, at + i).lt((short) 0).cast(FLOAT);
        FloatVector.fromArray(FLOAT, scores, i)
            .sub(largest)
            .blend(Float.NEGATIVE_INFINITY, VectorMask.fromLong(FLOAT, fine[e] >> lane).or(none))
            .intoArray(scores, i);
      }
    }
  }

  /** Magnitude of the largest finite number of {@code scores[from … to)}; NaN if one is NaN. */
  static float magnitude(float[] scores, int from, int to) {
    FloatVector largest = FloatVector.zero(FLOAT);
    for (int i = from; i < to; i += FLOATS) {
      FloatVector x = FloatVector.fromArray(FLOAT, scores, i);
      largest =
          largest.max(x.abs().blend(0f, x.compare(VectorOperators.EQ, Float.NEGATIVE_INFINITY)));
    }
    return largest.reduceLanes(VectorOperators.MAX);
  }

  /** Distances from the largest score in steps of {@code 1 / perUnit}, at most {@code most}. */
  static void distances(
      float[] scores, int from, int count, float largest, int most, short[] bins, int to) {
    for (int i = 0; i < count; i += FLOATS) {
      ((ShortVector)
              FloatVector.broadcast(FLOAT, largest)
                  .sub(FloatVector.fromArray(FLOAT, scores, from + i))
                  .mul(CertifiedSelection.BINS_PER_UNIT)
                  .min((float) most)
                  .convertShape(VectorOperators.F2S, SUMS, 0))
          .intoArray(bins, to + i);
    }
  }

  /** Copies numbers less {@code largest}. */
  static void shift(float[] scores, int from, int count, float largest, float[] target) {
    for (int i = 0; i < count; i += FLOATS) {
      FloatVector.fromArray(FLOAT, scores, from + i).sub(largest).intoArray(target, i);
    }
  }

  /** Sets the bits of tokens whose bin is below {@code limit}. */
  static void keepBelow(short[] bins, int at, short limit, char[] bitsOf, int first, int end) {
    for (int e = first; e < end; e++) {
      long bits = 0;
      for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
        bits |=
            ShortVector.fromArray(SUMS, bins, at + (e - first) * PAGE_TOKENS + lane)
                    .compare(VectorOperators.LT, limit)
                    .toLong()
                << lane;
      }
      bitsOf[e] |= (char) bits;
    }
  }

  /**
   * Weights of the tokens that enter as page means, 0 for the others; and weights times residuals
   * of those that are read in 4 bits, 0 for the others, which replace the residuals' product.
   */
  static void split(
      float[] weights,
      float[] residuals,
      char[] fine,
      char[] coarse,
      int first,
      int end,
      float[] far,
      float[] costs) {
    for (int e = first; e < end; e++) {
      for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
        int i = (e - first) * PAGE_TOKENS + lane;
        FloatVector w = FloatVector.fromArray(FLOAT, weights, i);
        FloatVector zero = FloatVector.zero(FLOAT);
        w.blend(zero, VectorMask.fromLong(FLOAT, (fine[e] | coarse[e]) >> lane)).intoArray(far, i);
        zero.blend(
                w.mul(FloatVector.fromArray(FLOAT, residuals, i)),
                VectorMask.fromLong(FLOAT, coarse[e] >> lane))
            .intoArray(costs, i);
      }
    }
  }
}
