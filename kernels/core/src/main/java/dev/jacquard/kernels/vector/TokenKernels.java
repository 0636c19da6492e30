package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import dev.jacquard.kernels.QuantizedKv;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
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

  private static final VectorShuffle<Float> SWAP8 = swap(8);
  private static final VectorShuffle<Float> SWAP4 = swap(4);
  private static final VectorShuffle<Float> SWAP2 = swap(2);
  private static final VectorShuffle<Float> SWAP1 = swap(1);

  private TokenKernels() {}

  /** Lanes that lie {@code distance} apart change places. */
  private static VectorShuffle<Float> swap(int distance) {
    return VectorShuffle.fromOp(FLOAT, i -> (i ^ distance) % FLOATS);
  }

  /** A size filled up to whole chains. */
  static int padded(int size) {
    return (size + CHAINS - 1) / CHAINS * CHAINS;
  }

  /**
   * Expands {@code count} codes with a scale for every 32 to {@code target[to …]}.
   *
   * @param codes offset of the codes
   * @param scales of the first group at {@code scales[scale]}
   */
  static void expandKey(
      MemorySegment memory,
      long codes,
      float[] scales,
      int scale,
      int count,
      float[] target,
      int to) {
    int whole = count / CODE_COUNT * CODE_COUNT;
    for (int i = 0; i < whole; i += CODE_COUNT) {
      ByteVector code = ByteVector.fromMemorySegment(CODES, memory, codes + i, ORDER);
      for (int part = 0; part < CODE_COUNT / FLOATS; part++) {
        ((FloatVector) code.convertShape(VectorOperators.B2F, FLOAT, part))
            .mul(scales[scale + i / QuantizedKv.GROUP])
            .intoArray(target, to + i + part * FLOATS);
      }
    }
    for (int i = whole; i < count; i++) {
      target[to + i] =
          memory.get(ValueLayout.JAVA_BYTE, codes + i) * scales[scale + i / QuantizedKv.GROUP];
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

  /**
   * {@link #multiply2x4} of keys as they are stored, with the same bits as if they had been
   * expanded. For sizes that are a multiple of {@link #CHAINS}, where {@link #multipliesCodes}.
   *
   * <p>Chains of the two tokens stand side by side, and {@code stride} behind those of the query
   * before.
   *
   * @param first offset of the codes of a token
   * @param scales of the first token at {@code scales[scale …]}, of the second {@code groups}
   *     behind
   */
  static void multiplyCodes2x4(
      MemorySegment firstMemory,
      long first,
      MemorySegment secondMemory,
      long second,
      float[] scales,
      int scale,
      int groups,
      float[] queries,
      int query,
      int size,
      float[] chains,
      int to,
      int stride) {
    for (int lane = 0; lane < CHAINS; lane += FLOATS) {
      FloatVector s00 = FloatVector.zero(FLOAT);
      FloatVector s01 = FloatVector.zero(FLOAT);
      FloatVector s02 = FloatVector.zero(FLOAT);
      FloatVector s03 = FloatVector.zero(FLOAT);
      FloatVector s10 = FloatVector.zero(FLOAT);
      FloatVector s11 = FloatVector.zero(FLOAT);
      FloatVector s12 = FloatVector.zero(FLOAT);
      FloatVector s13 = FloatVector.zero(FLOAT);
      for (int i = lane; i < size; i += CHAINS) {
        int group = scale + i / QuantizedKv.GROUP;
        FloatVector k0 =
            ((FloatVector)
                    ByteVector.fromMemorySegment(CODES, firstMemory, first + i, ORDER)
                        .convertShape(VectorOperators.B2F, FLOAT, 0))
                .mul(scales[group]);
        FloatVector k1 =
            ((FloatVector)
                    ByteVector.fromMemorySegment(CODES, secondMemory, second + i, ORDER)
                        .convertShape(VectorOperators.B2F, FLOAT, 0))
                .mul(scales[group + groups]);
        FloatVector q = FloatVector.fromArray(FLOAT, queries, query + i);
        s00 = k0.fma(q, s00);
        s10 = k1.fma(q, s10);
        q = FloatVector.fromArray(FLOAT, queries, query + size + i);
        s01 = k0.fma(q, s01);
        s11 = k1.fma(q, s11);
        q = FloatVector.fromArray(FLOAT, queries, query + 2 * size + i);
        s02 = k0.fma(q, s02);
        s12 = k1.fma(q, s12);
        q = FloatVector.fromArray(FLOAT, queries, query + 3 * size + i);
        s03 = k0.fma(q, s03);
        s13 = k1.fma(q, s13);
      }
      int c = to + lane;
      s00.intoArray(chains, c);
      s10.intoArray(chains, c + CHAINS);
      c += stride;
      s01.intoArray(chains, c);
      s11.intoArray(chains, c + CHAINS);
      c += stride;
      s02.intoArray(chains, c);
      s12.intoArray(chains, c + CHAINS);
      c += stride;
      s03.intoArray(chains, c);
      s13.intoArray(chains, c + CHAINS);
    }
  }

  /** Whether a vector of codes is a vector of floats, at this width. */
  static boolean multipliesCodes() {
    return CODE_COUNT == FLOATS;
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
   * Sums {@code count} rows of 16 numbers, halving, to {@code target[to …]}; the rows may be
   * destroyed.
   */
  static void sum16(float[] rows, int at, int count, float[] target, int to) {
    int r = 0;
    for (; FLOATS == CHAINS && r + CHAINS <= count; r += CHAINS) {
      sumRows(rows, at + r * CHAINS, target, to + r);
    }
    sumRest(rows, at + r * CHAINS, count - r, target, to + r);
  }

  private static void sumRest(float[] rows, int at, int count, float[] target, int to) {
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

  /**
   * Sums 16 rows of vectors of 16: two rows become one that holds halves of either, then quarters
   * of four, and so on, with the additions of {@link #sumRest}. Rows are taken in the order in
   * which their sums come to stand in ascending order.
   */
  private static void sumRows(float[] rows, int at, float[] target, int to) {
    VectorMask<Float> by8 = VectorMask.fromLong(FLOAT, 0xFF00);
    VectorMask<Float> by4 = VectorMask.fromLong(FLOAT, 0xF0F0);
    VectorMask<Float> by2 = VectorMask.fromLong(FLOAT, 0xCCCC);
    VectorMask<Float> by1 = VectorMask.fromLong(FLOAT, 0xAAAA);
    for (int i = 0; i < 4; i++) {
      // Rows i', i' + 8, i' + 4 and i' + 12 of each quarter, so that lanes end up in order.
      int row = at + i * CHAINS;
      FloatVector a = FloatVector.fromArray(FLOAT, rows, row);
      FloatVector b = FloatVector.fromArray(FLOAT, rows, row + 8 * CHAINS);
      a = a.blend(b, by8).add(b.blend(a, by8).rearrange(SWAP8));
      FloatVector c = FloatVector.fromArray(FLOAT, rows, row + 4 * CHAINS);
      FloatVector d = FloatVector.fromArray(FLOAT, rows, row + 12 * CHAINS);
      c = c.blend(d, by8).add(d.blend(c, by8).rearrange(SWAP8));
      a.blend(c, by4).add(c.blend(a, by4).rearrange(SWAP4)).intoArray(rows, row);
    }
    FloatVector a = FloatVector.fromArray(FLOAT, rows, at);
    FloatVector b = FloatVector.fromArray(FLOAT, rows, at + CHAINS);
    FloatVector c = FloatVector.fromArray(FLOAT, rows, at + 2 * CHAINS);
    FloatVector d = FloatVector.fromArray(FLOAT, rows, at + 3 * CHAINS);
    a = a.blend(c, by2).add(c.blend(a, by2).rearrange(SWAP2));
    b = b.blend(d, by2).add(d.blend(b, by2).rearrange(SWAP2));
    a.blend(b, by1).add(b.blend(a, by1).rearrange(SWAP1)).intoArray(target, to);
  }
}
