package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.SHORT;

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
    ShortVector a = ShortVector.broadcast(SHORT, Short.MIN_VALUE);
    ShortVector b = a;
    int end = at + count;
    int i = at;
    for (; i + 2 * SHORT.length() <= end; i += 2 * SHORT.length()) {
      a = a.max(ShortVector.fromArray(SHORT, sums, i));
      b = b.max(ShortVector.fromArray(SHORT, sums, i + SHORT.length()));
    }
    int largest = a.max(b).reduceLanes(VectorOperators.MAX);
    for (; i < end; i++) {
      largest = Math.max(largest, sums[i]);
    }
    return (short) largest;
  }

  /** A bit for each token of a page with {@code threshold} steps or more. */
  static char notBelow(short[] sums, int at, short threshold) {
    long bits = 0;
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      bits |=
          ShortVector.fromArray(SUMS, sums, at + lane)
                  .compare(VectorOperators.GE, threshold)
                  .toLong()
              << lane;
    }
    return (char) bits;
  }

  /** A bit for each of up to 64 weights that is not below a limit, or no number. */
  static long notBelow(float[] weights, int at, int count, float limit) {
    long bits = 0;
    int i = 0;
    for (; i + FLOATS <= count; i += FLOATS) {
      bits |=
          FloatVector.fromArray(FLOAT, weights, at + i)
                  .compare(VectorOperators.LT, limit)
                  .not()
                  .toLong()
              << i;
    }
    for (; i < count; i++) {
      bits |= weights[at + i] < limit ? 0 : 1L << i;
    }
    return bits;
  }

  /** Weights of means that are read are above 0, all others of up to 64 become 0. */
  static void keepMeans(float[] weights, int at, int count, long read) {
    int i = 0;
    for (; i + FLOATS <= count; i += FLOATS) {
      FloatVector.zero(FLOAT)
          .blend(
              FloatVector.fromArray(FLOAT, weights, at + i).max(Float.MIN_VALUE),
              VectorMask.fromLong(FLOAT, read >>> i))
          .intoArray(weights, at + i);
    }
    for (; i < count; i++) {
      weights[at + i] = (read >>> i & 1) == 0 ? 0 : Math.max(weights[at + i], Float.MIN_VALUE);
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

  /**
   * Weights {@code e^(step · sum + base − log)} of the tokens of some entries, 0 for those that are
   * read in 8 bits or not estimated. Exponentials as in {@link VectorMath#exp}.
   *
   * @param sums of token t of entry e: {@code sums[at + e · PAGE_TOKENS + t]}
   * @param fine of entry e: {@code fine[first + e]}
   * @param target receives the page of {@code entries[i]} at {@code target[i · PAGE_TOKENS …]}
   */
  static void weigh(
      short[] sums,
      int at,
      int[] entries,
      int count,
      char[] fine,
      int first,
      float step,
      float base,
      float log,
      float[] target) {
    for (int i = 0; i < count; i++) {
      int e = entries[i];
      for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
        ShortVector sum = ShortVector.fromArray(SUMS, sums, at + e * PAGE_TOKENS + lane);
        FloatVector v =
            ((FloatVector) sum.convertShape(VectorOperators.S2F, FLOAT, 0))
                .fma(FloatVector.broadcast(FLOAT, step), FloatVector.broadcast(FLOAT, base))
                .sub(log);
        FloatVector shifted =
            v.fma(
                FloatVector.broadcast(FLOAT, VectorMath.LOG2_E),
                FloatVector.broadcast(FLOAT, VectorMath.ROUND));
        FloatVector n = shifted.sub(VectorMath.ROUND);
        FloatVector r =
            n.fma(
                FloatVector.broadcast(FLOAT, -VectorMath.LN2_LOW),
                n.fma(FloatVector.broadcast(FLOAT, -VectorMath.LN2_HIGH), v));
        FloatVector p = FloatVector.broadcast(FLOAT, 1f / 5040);
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 720));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 120));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 24));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1f / 6));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 0.5f));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1));
        p = p.fma(r, FloatVector.broadcast(FLOAT, 1));
        p.reinterpretAsInts()
            .add(shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23))
            .reinterpretAsFloats()
            .blend(0f, v.lt(VectorMath.SMALLEST))
            .blend(v, v.compare(VectorOperators.NE, v))
            .blend(
                0f,
                VectorMask.fromLong(FLOAT, fine[first + e] >> lane)
                    .or(sum.lt((short) 0).cast(FLOAT)))
            .intoArray(target, i * PAGE_TOKENS + lane);
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
}
