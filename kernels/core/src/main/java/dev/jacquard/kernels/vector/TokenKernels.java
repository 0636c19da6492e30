package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import dev.jacquard.kernels.QuantizedKv;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Single tokens of {@link Q8KvStorage} as floats, and products of some of them with queries. What
 * is not a multiple of the vector is done one by one; all bits are the same at every width.
 */
final class TokenKernels {
  /** Chains of a dot product: vectors are filled up with zeros to a multiple. */
  static final int CHAINS = 16;

  /** Bytes that become one or two vectors of floats. */
  private static final VectorSpecies<Byte> CODES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, Lanes.bits() / 4)));

  private static final int CODE_COUNT = CODES.length();

  private TokenKernels() {}

  /** A size filled up to whole chains. */
  static int padded(int size) {
    return (size + CHAINS - 1) / CHAINS * CHAINS;
  }

  /**
   * Expands {@code count} codes with a scale for every 32 to {@code target[to …]}.
   *
   * @param codes offset of the codes
   * @param scales offset of their float16 scales
   */
  static void expandKey(
      MemorySegment memory, long codes, long scales, int count, float[] target, int to) {
    int whole = count / CODE_COUNT * CODE_COUNT;
    for (int i = 0; i < whole; i += CODE_COUNT) {
      float scale =
          Float.float16ToFloat(memory.get(Q8KvStorage.HALF, scales + i / QuantizedKv.GROUP * 2L));
      ByteVector code = ByteVector.fromMemorySegment(CODES, memory, codes + i, ORDER);
      for (int part = 0; part < CODE_COUNT / FLOATS; part++) {
        ((FloatVector) code.convertShape(VectorOperators.B2F, FLOAT, part))
            .mul(scale)
            .intoArray(target, to + i + part * FLOATS);
      }
    }
    for (int i = whole; i < count; i++) {
      target[to + i] =
          memory.get(ValueLayout.JAVA_BYTE, codes + i)
              * Float.float16ToFloat(
                  memory.get(Q8KvStorage.HALF, scales + i / QuantizedKv.GROUP * 2L));
    }
  }

  /** The same for {@code count} codes with one scale. */
  static void expandMean(
      MemorySegment memory, long codes, float scale, int count, float[] target, int to) {
    int whole = count / CODE_COUNT * CODE_COUNT;
    for (int i = 0; i < whole; i += CODE_COUNT) {
      ByteVector code = ByteVector.fromMemorySegment(CODES, memory, codes + i, ORDER);
      for (int part = 0; part < CODE_COUNT / FLOATS; part++) {
        ((FloatVector) code.convertShape(VectorOperators.B2F, FLOAT, part))
            .mul(scale)
            .intoArray(target, to + i + part * FLOATS);
      }
    }
    for (int i = whole; i < count; i++) {
      target[to + i] = memory.get(ValueLayout.JAVA_BYTE, codes + i) * scale;
    }
  }

  /**
   * Expands a value in 8 bits.
   *
   * @param planes offset of its upper nibbles, which the lower ones follow
   */
  static void expandValue(
      MemorySegment memory, long planes, long scales, int size, float[] target, int to) {
    if (size % (2 * CHAINS) == 0) {
      expandPlanes(memory, planes, scales, size / 2, target, to);
      return;
    }
    int half = (size + 1) / 2;
    for (int i = 0; i < size; i++) {
      int upper = nibble(memory, planes, half, i);
      int lower = nibble(memory, planes + half, half, i);
      target[to + i] = (16 * upper + lower - 128) * scale(memory, scales, i);
    }
  }

  /** Expands a value in its upper 4 bits: {@code scale · (16·upper + 8 − 128)}. */
  static void expandCoarse(
      MemorySegment memory, long planes, long scales, int size, float[] target, int to) {
    if (size % (2 * CHAINS) == 0) {
      expandCoarseHalf(memory, planes, scales, size / 2, 0, target, to);
      expandCoarseHalf(memory, planes, scales, size / 2, size / 2, target, to);
      return;
    }
    int half = (size + 1) / 2;
    for (int i = 0; i < size; i++) {
      int upper = nibble(memory, planes, half, i);
      target[to + i] = (16 * upper + 7.5f - 128) * scale(memory, scales, i);
    }
  }

  private static int nibble(MemorySegment memory, long plane, int half, int channel) {
    return channel < half
        ? memory.get(ValueLayout.JAVA_BYTE, plane + channel) & 15
        : memory.get(ValueLayout.JAVA_BYTE, plane + channel - half) >> 4 & 15;
  }

  private static float scale(MemorySegment memory, long scales, int channel) {
    return Float.float16ToFloat(
        memory.get(Q8KvStorage.HALF, scales + channel / QuantizedKv.GROUP * 2L));
  }

  /** Two channels from each byte of the planes, one of either half of the value. */
  private static void expandPlanes(
      MemorySegment memory, long planes, long scales, int half, float[] target, int to) {
    for (int i = 0; i < half; i += CODE_COUNT) {
      float lowScale =
          Float.float16ToFloat(memory.get(Q8KvStorage.HALF, scales + i / QuantizedKv.GROUP * 2L));
      float highScale =
          Float.float16ToFloat(
              memory.get(Q8KvStorage.HALF, scales + (half + i) / QuantizedKv.GROUP * 2L));
      ByteVector upper = ByteVector.fromMemorySegment(CODES, memory, planes + i, ORDER);
      ByteVector lower = ByteVector.fromMemorySegment(CODES, memory, planes + half + i, ORDER);
      // Moving a nibble within lanes of 16 bits drags bits of the neighbour along: masked away.
      ByteVector low =
          upper
              .reinterpretAsShorts()
              .lanewise(VectorOperators.LSHL, 4)
              .reinterpretAsBytes()
              .and((byte) 0xF0)
              .or(lower.and((byte) 0x0F))
              .lanewise(VectorOperators.XOR, (byte) 0x80);
      ByteVector high =
          lower
              .reinterpretAsShorts()
              .lanewise(VectorOperators.LSHR, 4)
              .reinterpretAsBytes()
              .and((byte) 0x0F)
              .or(upper.and((byte) 0xF0))
              .lanewise(VectorOperators.XOR, (byte) 0x80);
      for (int part = 0; part < CODE_COUNT / FLOATS; part++) {
        int at = to + i + part * FLOATS;
        ((FloatVector) low.convertShape(VectorOperators.B2F, FLOAT, part))
            .mul(lowScale)
            .intoArray(target, at);
        ((FloatVector) high.convertShape(VectorOperators.B2F, FLOAT, part))
            .mul(highScale)
            .intoArray(target, at + half);
      }
    }
  }

  private static void expandCoarseHalf(
      MemorySegment memory, long planes, long scales, int half, int first, float[] target, int to) {
    for (int i = 0; i < half; i += CODE_COUNT) {
      float scale =
          Float.float16ToFloat(
              memory.get(Q8KvStorage.HALF, scales + (first + i) / QuantizedKv.GROUP * 2L));
      ByteVector upper = ByteVector.fromMemorySegment(CODES, memory, planes + i, ORDER);
      if (first == 0) {
        upper = upper.reinterpretAsShorts().lanewise(VectorOperators.LSHL, 4).reinterpretAsBytes();
      }
      ByteVector code = upper.and((byte) 0xF0).lanewise(VectorOperators.XOR, (byte) 0x80);
      for (int part = 0; part < CODE_COUNT / FLOATS; part++) {
        ((FloatVector) code.convertShape(VectorOperators.B2F, FLOAT, part))
            .add(8)
            .mul(scale)
            .intoArray(target, to + first + i + part * FLOATS);
      }
    }
  }

  /**
   * Chains of the products of two tokens with four queries: {@code chains[(token · 4 + query) ·
   * CHAINS …]}. Rows of keys and queries are {@code padded} long.
   */
  static void multiply2x4(
      float[] keys, int key, float[] queries, int query, int padded, float[] chains, int to) {
    for (int lane = 0; lane < CHAINS; lane += FLOATS) {
      FloatVector s00 = FloatVector.zero(FLOAT);
      FloatVector s01 = FloatVector.zero(FLOAT);
      FloatVector s02 = FloatVector.zero(FLOAT);
      FloatVector s03 = FloatVector.zero(FLOAT);
      FloatVector s10 = FloatVector.zero(FLOAT);
      FloatVector s11 = FloatVector.zero(FLOAT);
      FloatVector s12 = FloatVector.zero(FLOAT);
      FloatVector s13 = FloatVector.zero(FLOAT);
      for (int i = lane; i < padded; i += CHAINS) {
        FloatVector k0 = FloatVector.fromArray(FLOAT, keys, key + i);
        FloatVector k1 = FloatVector.fromArray(FLOAT, keys, key + padded + i);
        FloatVector q = FloatVector.fromArray(FLOAT, queries, query + i);
        s00 = k0.fma(q, s00);
        s10 = k1.fma(q, s10);
        q = FloatVector.fromArray(FLOAT, queries, query + padded + i);
        s01 = k0.fma(q, s01);
        s11 = k1.fma(q, s11);
        q = FloatVector.fromArray(FLOAT, queries, query + 2 * padded + i);
        s02 = k0.fma(q, s02);
        s12 = k1.fma(q, s12);
        q = FloatVector.fromArray(FLOAT, queries, query + 3 * padded + i);
        s03 = k0.fma(q, s03);
        s13 = k1.fma(q, s13);
      }
      int c = to + lane;
      s00.intoArray(chains, c);
      s01.intoArray(chains, c + CHAINS);
      s02.intoArray(chains, c + 2 * CHAINS);
      s03.intoArray(chains, c + 3 * CHAINS);
      s10.intoArray(chains, c + 4 * CHAINS);
      s11.intoArray(chains, c + 5 * CHAINS);
      s12.intoArray(chains, c + 6 * CHAINS);
      s13.intoArray(chains, c + 7 * CHAINS);
    }
  }

  /** The same for one token and one query. */
  static void multiply1(
      float[] keys, int key, float[] queries, int query, int padded, float[] chains, int to) {
    for (int lane = 0; lane < CHAINS; lane += FLOATS) {
      FloatVector s = FloatVector.zero(FLOAT);
      for (int i = lane; i < padded; i += CHAINS) {
        s =
            FloatVector.fromArray(FLOAT, keys, key + i)
                .fma(FloatVector.fromArray(FLOAT, queries, query + i), s);
      }
      s.intoArray(chains, to + lane);
    }
  }

  /**
   * Sums {@code count} rows of 16 numbers, halving, to {@code target[to …]}; what follows each
   * row's first four is destroyed.
   */
  static void sum16(float[] rows, int at, int count, float[] target, int to) {
    for (int r = 0; r < count; r++) {
      int i = at + r * CHAINS;
      for (int j = i; j < i + 4; j++) {
        rows[j] = (rows[j] + rows[j + 8]) + (rows[j + 4] + rows[j + 12]);
      }
    }
    for (int r = 0; r < count; r++) {
      int i = at + r * CHAINS;
      target[to + r] = (rows[i] + rows[i + 2]) + (rows[i + 1] + rows[i + 3]);
    }
  }
}
