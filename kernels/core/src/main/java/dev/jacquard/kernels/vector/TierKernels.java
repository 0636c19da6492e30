package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.QuantizedKv.GROUP;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Inner loops of {@link CertifiedSelection} and {@link TierReader}. A token's <em>rank</em> is its
 * weight divided by the least weight that is read in 4 bits, the largest over the heads: below 1 it
 * enters as the mean of its page.
 */
final class TierKernels {
  private static final VectorSpecies<Short> HALVES = ShortVector.SPECIES_128;

  /** As many bytes as a vector has floats, but no fewer than a vector can have. */
  private static final VectorSpecies<Byte> CODES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, Lanes.bits() / 4)));

  /** Added to the root of a sum of squares: what underflow may have taken from it. */
  static final float UNDERFLOW = 0x1p-72f;

  private TierKernels() {}

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

  /** Numbers {@code from[at + lanes[i]]} of 16 lanes. */
  static void gather(float[] from, int at, int[] lanes, float[] target, int to) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector.fromArray(FLOAT, from, at, lanes, lane).intoArray(target, to + lane);
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
          .intoArray(chains, lane);
    }
  }

  /** Copies 16 halves. */
  static void copyHalves(MemorySegment memory, long at, short[] target, int to) {
    ShortVector.fromMemorySegment(HALVES, memory, at, ORDER).intoArray(target, to);
    ShortVector.fromMemorySegment(HALVES, memory, at + 16, ORDER).intoArray(target, to + 8);
  }

  /** Halves to floats: a plain loop, which the compiler turns into conversion instructions. */
  static void toFloats(short[] halves, int count, float[] target) {
    for (int i = 0; i < count; i++) {
      target[i] = Float.float16ToFloat(halves[i]);
    }
  }

  /**
   * Adds rows to sums for 4 queries: {@code code · scale + bias}, times weight. Rows are {@code
   * size} codes, a multiple of 64, with a scale and a bias for every 32.
   */
  static void add4x4(
      byte[] codes,
      float[] scales,
      float[] biases,
      int size,
      int rows,
      float[] weights,
      int weightsAt,
      int weightStride,
      float[] sums,
      int at) {
    int groups = size / GROUP;
    for (int c = 0; c < size; c += 4 * FLOATS) {
      FloatVector s00 = FloatVector.fromArray(FLOAT, sums, at + c);
      FloatVector s01 = FloatVector.fromArray(FLOAT, sums, at + c + FLOATS);
      FloatVector s02 = FloatVector.fromArray(FLOAT, sums, at + c + 2 * FLOATS);
      FloatVector s03 = FloatVector.fromArray(FLOAT, sums, at + c + 3 * FLOATS);
      FloatVector s10 = FloatVector.fromArray(FLOAT, sums, at + size + c);
      FloatVector s11 = FloatVector.fromArray(FLOAT, sums, at + size + c + FLOATS);
      FloatVector s12 = FloatVector.fromArray(FLOAT, sums, at + size + c + 2 * FLOATS);
      FloatVector s13 = FloatVector.fromArray(FLOAT, sums, at + size + c + 3 * FLOATS);
      FloatVector s20 = FloatVector.fromArray(FLOAT, sums, at + 2 * size + c);
      FloatVector s21 = FloatVector.fromArray(FLOAT, sums, at + 2 * size + c + FLOATS);
      FloatVector s22 = FloatVector.fromArray(FLOAT, sums, at + 2 * size + c + 2 * FLOATS);
      FloatVector s23 = FloatVector.fromArray(FLOAT, sums, at + 2 * size + c + 3 * FLOATS);
      FloatVector s30 = FloatVector.fromArray(FLOAT, sums, at + 3 * size + c);
      FloatVector s31 = FloatVector.fromArray(FLOAT, sums, at + 3 * size + c + FLOATS);
      FloatVector s32 = FloatVector.fromArray(FLOAT, sums, at + 3 * size + c + 2 * FLOATS);
      FloatVector s33 = FloatVector.fromArray(FLOAT, sums, at + 3 * size + c + 3 * FLOATS);
      for (int t = 0; t < rows; t++) {
        int code = t * size + c;
        int group = t * groups + c / GROUP;
        int last = t * groups + (c + 3 * FLOATS) / GROUP;
        int second = t * groups + (c + FLOATS) / GROUP;
        int third = t * groups + (c + 2 * FLOATS) / GROUP;
        FloatVector v0 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code).castShape(FLOAT, 0))
                .fma(
                    FloatVector.broadcast(FLOAT, scales[group]),
                    FloatVector.broadcast(FLOAT, biases[group]));
        FloatVector v1 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code + FLOATS).castShape(FLOAT, 0))
                .fma(
                    FloatVector.broadcast(FLOAT, scales[second]),
                    FloatVector.broadcast(FLOAT, biases[second]));
        FloatVector v2 =
            ((FloatVector)
                    ByteVector.fromArray(CODES, codes, code + 2 * FLOATS).castShape(FLOAT, 0))
                .fma(
                    FloatVector.broadcast(FLOAT, scales[third]),
                    FloatVector.broadcast(FLOAT, biases[third]));
        FloatVector v3 =
            ((FloatVector)
                    ByteVector.fromArray(CODES, codes, code + 3 * FLOATS).castShape(FLOAT, 0))
                .fma(
                    FloatVector.broadcast(FLOAT, scales[last]),
                    FloatVector.broadcast(FLOAT, biases[last]));
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
        FloatVector w2 = FloatVector.broadcast(FLOAT, weights[weightsAt + 2 * weightStride + t]);
        s20 = v0.fma(w2, s20);
        s21 = v1.fma(w2, s21);
        s22 = v2.fma(w2, s22);
        s23 = v3.fma(w2, s23);
        FloatVector w3 = FloatVector.broadcast(FLOAT, weights[weightsAt + 3 * weightStride + t]);
        s30 = v0.fma(w3, s30);
        s31 = v1.fma(w3, s31);
        s32 = v2.fma(w3, s32);
        s33 = v3.fma(w3, s33);
      }
      s00.intoArray(sums, at + c);
      s01.intoArray(sums, at + c + FLOATS);
      s02.intoArray(sums, at + c + 2 * FLOATS);
      s03.intoArray(sums, at + c + 3 * FLOATS);
      s10.intoArray(sums, at + size + c);
      s11.intoArray(sums, at + size + c + FLOATS);
      s12.intoArray(sums, at + size + c + 2 * FLOATS);
      s13.intoArray(sums, at + size + c + 3 * FLOATS);
      s20.intoArray(sums, at + 2 * size + c);
      s21.intoArray(sums, at + 2 * size + c + FLOATS);
      s22.intoArray(sums, at + 2 * size + c + 2 * FLOATS);
      s23.intoArray(sums, at + 2 * size + c + 3 * FLOATS);
      s30.intoArray(sums, at + 3 * size + c);
      s31.intoArray(sums, at + 3 * size + c + FLOATS);
      s32.intoArray(sums, at + 3 * size + c + 2 * FLOATS);
      s33.intoArray(sums, at + 3 * size + c + 3 * FLOATS);
    }
  }

  /** The same for 1 query. */
  static void add1x1(
      byte[] codes,
      float[] scales,
      float[] biases,
      int size,
      int rows,
      float[] weights,
      int weightsAt,
      float[] sums,
      int at) {
    int groups = size / GROUP;
    for (int c = 0; c < size; c += FLOATS) {
      FloatVector sum = FloatVector.fromArray(FLOAT, sums, at + c);
      for (int t = 0; t < rows; t++) {
        int group = t * groups + c / GROUP;
        sum =
            ((FloatVector) ByteVector.fromArray(CODES, codes, t * size + c).castShape(FLOAT, 0))
                .fma(
                    FloatVector.broadcast(FLOAT, scales[group]),
                    FloatVector.broadcast(FLOAT, biases[group]))
                .fma(FloatVector.broadcast(FLOAT, weights[weightsAt + t]), sum);
      }
      sum.intoArray(sums, at + c);
    }
  }
}
