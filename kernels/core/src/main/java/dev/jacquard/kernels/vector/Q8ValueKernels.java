package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.QuantizedKv.GROUP;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;
import static dev.jacquard.kernels.vector.Lanes.VECTOR_BYTES;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Weighted sums of values in 8 bits. The two planes of a value become bytes first, for all heads;
 * bytes become floats next to the multiply-adds:
 *
 * <pre>
 *  codes[token · size + channel]             scales[token · size / 32 + group]
 * </pre>
 *
 * <p>{@code size} is filled up to a multiple of {@link #FILL}; what stands there is added up and
 * never read. Each sum is one chain {@code sum = fma(scale · code, weight, sum)} in the order of
 * the tokens, whatever the number of queries that a call serves; {@code scale · code} is exact.
 */
final class Q8ValueKernels {
  /** Sizes are filled up to a multiple of this: four of the widest vectors. */
  static final int FILL = 64;

  private static final int HIGH_NIBBLES = 0xf0f0f0f0;
  private static final int LOW_NIBBLES = 0x0f0f0f0f;

  /** Turns a code plus 128 into the code. */
  private static final int SIGNS = 0x80808080;

  /** Turns upper nibbles alone into the code in the middle of the 16 that they stand for. */
  private static final int MIDDLE_SIGNS = 0x88888888;

  private static final long LONG_HIGH_NIBBLES = 0xf0f0f0f0f0f0f0f0L;
  private static final long LONG_LOW_NIBBLES = 0x0f0f0f0f0f0f0f0fL;
  private static final long LONG_SIGNS = 0x8080808080808080L;

  /** As many bytes as a vector has floats, but no fewer than a vector can have. */
  private static final VectorSpecies<Byte> CODES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, Lanes.bits() / 4)));

  private static final int WHOLE_BYTES = (int) VECTOR_BYTES;
  private static final int HALF_BYTES = WHOLE_BYTES / 2;

  /** A vector of both planes: its upper plane twice, and its lower plane twice. */
  private static final VectorShuffle<Integer> UPPER_TWICE =
      VectorShuffle.fromOp(INT, i -> i % (INT.length() / 2));

  private static final VectorShuffle<Integer> LOWER_TWICE =
      VectorShuffle.fromOp(INT, i -> INT.length() / 2 + i % (INT.length() / 2));

  /** Shifts of a vector of codes: 4 in its first half, 0 in its second, and the other way round. */
  private static final int[] FIRST_BY_4 = new int[INT.length()];

  private static final int[] SECOND_BY_4 = new int[INT.length()];

  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  static {
    Arrays.fill(FIRST_BY_4, 0, INT.length() / 2, 4);
    Arrays.fill(SECOND_BY_4, INT.length() / 2, INT.length(), 4);
  }

  private Q8ValueKernels() {}

  /** The size of a value, filled up. */
  static int filled(int valueSize) {
    return (valueSize + FILL - 1) / FILL * FILL;
  }

  /**
   * Joins the planes of {@code tokens} values, which lie one behind the other.
   *
   * @param plane bytes of a plane
   * @param stride between the codes of two tokens
   */
  static void join(
      MemorySegment memory, long at, int plane, int tokens, byte[] codes, int to, int stride) {
    if (plane % WHOLE_BYTES == 0) {
      joinWhole(memory, at, plane, tokens, codes, to, stride);
    } else if (plane == HALF_BYTES) {
      joinHalf(memory, at, tokens, codes, to, stride);
    } else if (plane % Long.BYTES == 0) {
      joinLongs(memory, at, plane, tokens, codes, to, stride);
    } else {
      joinBytes(memory, at, plane, tokens, codes, to, stride);
    }
  }

  private static void joinWhole(
      MemorySegment memory, long at, int plane, int tokens, byte[] codes, int to, int stride) {
    int count = tokens * (plane / WHOLE_BYTES);
    int j = 0;
    for (int i = 0; i < count; i++) {
      IntVector upper = IntVector.fromMemorySegment(INT, memory, at + j, ORDER);
      IntVector lower = IntVector.fromMemorySegment(INT, memory, at + plane + j, ORDER);
      upper
          .lanewise(VectorOperators.LSHL, 4)
          .and(HIGH_NIBBLES)
          .or(lower.and(LOW_NIBBLES))
          .lanewise(VectorOperators.XOR, SIGNS)
          .reinterpretAsBytes()
          .intoArray(codes, to + j);
      upper
          .and(HIGH_NIBBLES)
          .or(lower.lanewise(VectorOperators.LSHR, 4).and(LOW_NIBBLES))
          .lanewise(VectorOperators.XOR, SIGNS)
          .reinterpretAsBytes()
          .intoArray(codes, to + plane + j);
      j += WHOLE_BYTES;
      if (j == plane) {
        j = 0;
        at += 2L * plane;
        to += stride;
      }
    }
  }

  /** Planes of half a vector: both planes of a token are one vector, as are its codes. */
  private static void joinHalf(
      MemorySegment memory, long at, int tokens, byte[] codes, int to, int stride) {
    IntVector firstBy4 = IntVector.fromArray(INT, FIRST_BY_4, 0);
    IntVector secondBy4 = IntVector.fromArray(INT, SECOND_BY_4, 0);
    for (int t = 0; t < tokens; t++) {
      IntVector planes = IntVector.fromMemorySegment(INT, memory, at, ORDER);
      planes
          .rearrange(UPPER_TWICE)
          .lanewise(VectorOperators.LSHL, firstBy4)
          .and(HIGH_NIBBLES)
          .or(
              planes
                  .rearrange(LOWER_TWICE)
                  .lanewise(VectorOperators.LSHR, secondBy4)
                  .and(LOW_NIBBLES))
          .lanewise(VectorOperators.XOR, SIGNS)
          .reinterpretAsBytes()
          .intoArray(codes, to);
      at += WHOLE_BYTES;
      to += stride;
    }
  }

  private static void joinLongs(
      MemorySegment memory, long at, int plane, int tokens, byte[] codes, int to, int stride) {
    for (int t = 0; t < tokens; t++) {
      for (int j = 0; j < plane; j += Long.BYTES) {
        long upper = memory.get(Q8KvStorage.LONG, at + j);
        long lower = memory.get(Q8KvStorage.LONG, at + plane + j);
        LONGS.set(
            codes,
            to + j,
            ((upper << 4 & LONG_HIGH_NIBBLES) | (lower & LONG_LOW_NIBBLES)) ^ LONG_SIGNS);
        LONGS.set(
            codes,
            to + plane + j,
            ((upper & LONG_HIGH_NIBBLES) | (lower >>> 4 & LONG_LOW_NIBBLES)) ^ LONG_SIGNS);
      }
      at += 2L * plane;
      to += stride;
    }
  }

  private static void joinBytes(
      MemorySegment memory, long at, int plane, int tokens, byte[] codes, int to, int stride) {
    for (int t = 0; t < tokens; t++) {
      for (int j = 0; j < plane; j++) {
        int upper = memory.get(ValueLayout.JAVA_BYTE, at + j);
        int lower = memory.get(ValueLayout.JAVA_BYTE, at + plane + j);
        codes[to + j] = (byte) ((((upper << 4) & 0xf0) | (lower & 15)) - 128);
        codes[to + plane + j] = (byte) (((upper & 0xf0) | ((lower >> 4) & 15)) - 128);
      }
      at += 2L * plane;
      to += stride;
    }
  }

  /** Codes of one value by its upper plane: what lies in the middle of 16 codes. */
  static void joinUpper(MemorySegment memory, long at, int plane, byte[] codes, int to) {
    int j = 0;
    for (; j + WHOLE_BYTES <= plane; j += WHOLE_BYTES) {
      IntVector upper = IntVector.fromMemorySegment(INT, memory, at + j, ORDER);
      upper
          .lanewise(VectorOperators.LSHL, 4)
          .and(HIGH_NIBBLES)
          .lanewise(VectorOperators.XOR, MIDDLE_SIGNS)
          .reinterpretAsBytes()
          .intoArray(codes, to + j);
      upper
          .and(HIGH_NIBBLES)
          .lanewise(VectorOperators.XOR, MIDDLE_SIGNS)
          .reinterpretAsBytes()
          .intoArray(codes, to + plane + j);
    }
    for (; j < plane; j++) {
      int upper = memory.get(ValueLayout.JAVA_BYTE, at + j);
      codes[to + j] = (byte) (((upper << 4) & 0xf0) + 8 - 128);
      codes[to + plane + j] = (byte) ((upper & 0xf0) + 8 - 128);
    }
  }

  /** Copies {@code size} codes. */
  static void copy(MemorySegment memory, long at, int size, byte[] codes, int to) {
    int j = 0;
    for (; j + WHOLE_BYTES <= size; j += WHOLE_BYTES) {
      IntVector.fromMemorySegment(INT, memory, at + j, ORDER)
          .reinterpretAsBytes()
          .intoArray(codes, to + j);
    }
    for (; j < size; j++) {
      codes[to + j] = memory.get(ValueLayout.JAVA_BYTE, at + j);
    }
  }

  /** Adds the tokens from … to − 1 for any number of queries. */
  static void add(
      byte[] codes,
      float[] scales,
      int size,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int weightStride,
      int queries,
      float[] sums,
      int at) {
    int q = 0;
    for (; q + 8 <= queries; q += 8) {
      int w = weightsAt + q * weightStride;
      add8x2(codes, scales, size, from, to, weights, w, weightStride, sums, at + q * size);
    }
    for (; q + 4 <= queries; q += 4) {
      int w = weightsAt + q * weightStride;
      add4x4(codes, scales, size, from, to, weights, w, weightStride, sums, at + q * size);
    }
    for (; q < queries; q++) {
      int w = weightsAt + q * weightStride;
      add1x4(codes, scales, size, from, to, weights, w, weightStride, sums, at + q * size);
    }
  }

  /** Adds the tokens from … to − 1 for 8 queries. */
  static void add8x2(
      byte[] codes,
      float[] scales,
      int size,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int weightStride,
      float[] sums,
      int at) {
    int groups = size / GROUP;
    for (int c = 0; c < size; c += 2 * FLOATS) {
      FloatVector s00 = FloatVector.fromArray(FLOAT, sums, at + c);
      FloatVector s01 = FloatVector.fromArray(FLOAT, sums, at + c + FLOATS);
      FloatVector s10 = FloatVector.fromArray(FLOAT, sums, at + size + c);
      FloatVector s11 = FloatVector.fromArray(FLOAT, sums, at + size + c + FLOATS);
      FloatVector s20 = FloatVector.fromArray(FLOAT, sums, at + 2 * size + c);
      FloatVector s21 = FloatVector.fromArray(FLOAT, sums, at + 2 * size + c + FLOATS);
      FloatVector s30 = FloatVector.fromArray(FLOAT, sums, at + 3 * size + c);
      FloatVector s31 = FloatVector.fromArray(FLOAT, sums, at + 3 * size + c + FLOATS);
      FloatVector s40 = FloatVector.fromArray(FLOAT, sums, at + 4 * size + c);
      FloatVector s41 = FloatVector.fromArray(FLOAT, sums, at + 4 * size + c + FLOATS);
      FloatVector s50 = FloatVector.fromArray(FLOAT, sums, at + 5 * size + c);
      FloatVector s51 = FloatVector.fromArray(FLOAT, sums, at + 5 * size + c + FLOATS);
      FloatVector s60 = FloatVector.fromArray(FLOAT, sums, at + 6 * size + c);
      FloatVector s61 = FloatVector.fromArray(FLOAT, sums, at + 6 * size + c + FLOATS);
      FloatVector s70 = FloatVector.fromArray(FLOAT, sums, at + 7 * size + c);
      FloatVector s71 = FloatVector.fromArray(FLOAT, sums, at + 7 * size + c + FLOATS);
      for (int t = from; t < to; t++) {
        int code = t * size + c;
        FloatVector v0 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code).castShape(FLOAT, 0))
                .mul(scales[t * groups + c / GROUP]);
        FloatVector v1 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code + FLOATS).castShape(FLOAT, 0))
                .mul(scales[t * groups + (c + FLOATS) / GROUP]);
        FloatVector w0 = FloatVector.broadcast(FLOAT, weights[weightsAt + t]);
        s00 = v0.fma(w0, s00);
        s01 = v1.fma(w0, s01);
        FloatVector w1 = FloatVector.broadcast(FLOAT, weights[weightsAt + weightStride + t]);
        s10 = v0.fma(w1, s10);
        s11 = v1.fma(w1, s11);
        FloatVector w2 = FloatVector.broadcast(FLOAT, weights[weightsAt + 2 * weightStride + t]);
        s20 = v0.fma(w2, s20);
        s21 = v1.fma(w2, s21);
        FloatVector w3 = FloatVector.broadcast(FLOAT, weights[weightsAt + 3 * weightStride + t]);
        s30 = v0.fma(w3, s30);
        s31 = v1.fma(w3, s31);
        FloatVector w4 = FloatVector.broadcast(FLOAT, weights[weightsAt + 4 * weightStride + t]);
        s40 = v0.fma(w4, s40);
        s41 = v1.fma(w4, s41);
        FloatVector w5 = FloatVector.broadcast(FLOAT, weights[weightsAt + 5 * weightStride + t]);
        s50 = v0.fma(w5, s50);
        s51 = v1.fma(w5, s51);
        FloatVector w6 = FloatVector.broadcast(FLOAT, weights[weightsAt + 6 * weightStride + t]);
        s60 = v0.fma(w6, s60);
        s61 = v1.fma(w6, s61);
        FloatVector w7 = FloatVector.broadcast(FLOAT, weights[weightsAt + 7 * weightStride + t]);
        s70 = v0.fma(w7, s70);
        s71 = v1.fma(w7, s71);
      }
      s00.intoArray(sums, at + c);
      s01.intoArray(sums, at + c + FLOATS);
      s10.intoArray(sums, at + size + c);
      s11.intoArray(sums, at + size + c + FLOATS);
      s20.intoArray(sums, at + 2 * size + c);
      s21.intoArray(sums, at + 2 * size + c + FLOATS);
      s30.intoArray(sums, at + 3 * size + c);
      s31.intoArray(sums, at + 3 * size + c + FLOATS);
      s40.intoArray(sums, at + 4 * size + c);
      s41.intoArray(sums, at + 4 * size + c + FLOATS);
      s50.intoArray(sums, at + 5 * size + c);
      s51.intoArray(sums, at + 5 * size + c + FLOATS);
      s60.intoArray(sums, at + 6 * size + c);
      s61.intoArray(sums, at + 6 * size + c + FLOATS);
      s70.intoArray(sums, at + 7 * size + c);
      s71.intoArray(sums, at + 7 * size + c + FLOATS);
    }
  }

  /** Adds the tokens from … to − 1 for 4 queries. */
  static void add4x4(
      byte[] codes,
      float[] scales,
      int size,
      int from,
      int to,
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
      for (int t = from; t < to; t++) {
        int code = t * size + c;
        FloatVector v0 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code).castShape(FLOAT, 0))
                .mul(scales[t * groups + c / GROUP]);
        FloatVector v1 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code + FLOATS).castShape(FLOAT, 0))
                .mul(scales[t * groups + (c + FLOATS) / GROUP]);
        FloatVector v2 =
            ((FloatVector)
                    ByteVector.fromArray(CODES, codes, code + 2 * FLOATS).castShape(FLOAT, 0))
                .mul(scales[t * groups + (c + 2 * FLOATS) / GROUP]);
        FloatVector v3 =
            ((FloatVector)
                    ByteVector.fromArray(CODES, codes, code + 3 * FLOATS).castShape(FLOAT, 0))
                .mul(scales[t * groups + (c + 3 * FLOATS) / GROUP]);
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

  /** Adds the tokens from … to − 1 for 1 query. */
  static void add1x4(
      byte[] codes,
      float[] scales,
      int size,
      int from,
      int to,
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
      for (int t = from; t < to; t++) {
        int code = t * size + c;
        FloatVector v0 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code).castShape(FLOAT, 0))
                .mul(scales[t * groups + c / GROUP]);
        FloatVector v1 =
            ((FloatVector) ByteVector.fromArray(CODES, codes, code + FLOATS).castShape(FLOAT, 0))
                .mul(scales[t * groups + (c + FLOATS) / GROUP]);
        FloatVector v2 =
            ((FloatVector)
                    ByteVector.fromArray(CODES, codes, code + 2 * FLOATS).castShape(FLOAT, 0))
                .mul(scales[t * groups + (c + 2 * FLOATS) / GROUP]);
        FloatVector v3 =
            ((FloatVector)
                    ByteVector.fromArray(CODES, codes, code + 3 * FLOATS).castShape(FLOAT, 0))
                .mul(scales[t * groups + (c + 3 * FLOATS) / GROUP]);
        FloatVector w0 = FloatVector.broadcast(FLOAT, weights[weightsAt + t]);
        s00 = v0.fma(w0, s00);
        s01 = v1.fma(w0, s01);
        s02 = v2.fma(w0, s02);
        s03 = v3.fma(w0, s03);
      }
      s00.intoArray(sums, at + c);
      s01.intoArray(sums, at + c + FLOATS);
      s02.intoArray(sums, at + c + 2 * FLOATS);
      s03.intoArray(sums, at + c + 3 * FLOATS);
    }
  }
}
