package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;
import static dev.jacquard.kernels.vector.Lanes.VECTOR_BYTES;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Four-bit numbers in blocks of 32 columns, each with a scale per row. A chunk of up to {@link
 * FloatMatrix#CHUNK} columns holds the scales of its blocks, then its codes: a 32-bit word has
 * eight columns of one row, the first in the lowest bits.
 *
 * <pre>
 *  chunk:  scales (halves)               words
 *          +-------------+-------------+-+-------------+-------------+--
 *          | block 0:    | block 1:    |…| k = 0 … 7:  | k = 8 … 15: |…
 *          | r0 r1 … r31 | r0 … r31    | | r0 r1 … r31 | r0 … r31    |
 *          +-------------+-------------+-+-------------+-------------+--
 * </pre>
 *
 * <p>Decoding: a code c put into bits p … p + 3 (p = 8, 12, 16) under the exponent of 1 is the
 * float 1 + c·2^(p − 23), so that {@code fma(2^(23 − p)·d, that, −(2^(23 − p) + 8)·d)} is exactly
 * d·(c − 8): no conversion from integers, and two shifts for eight codes.
 */
final class Q4_0Matrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout();

  private static final int BLOCK = 32;
  private static final int BLOCK_BYTES = TILE * (2 + BLOCK / 2);
  private static final int SOURCE_BLOCK_BYTES = 18;
  private static final int ONE = 0x3f800000;

  private Q4_0Matrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  /** Decodes the chunk's scales and returns where its codes start. */
  private long decodeScales(int tile, int first, int count, Scratch scratch) {
    long chunk = tile * tileBytes + (long) first / BLOCK * BLOCK_BYTES;
    int scales = count / BLOCK * TILE;
    scratch.halvesToFloats(data, chunk, scales, 1, scratch.scales);
    return chunk + scales * 2L;
  }

  @Override
  void expand(int tile, int first, int count, Scratch scratch) {
    long codes = decodeScales(tile, first, count, scratch);
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      expandLanes(data, codes, lane, count, scratch.scales, scratch.panel);
    }
  }

  @Override
  void multiplyRow(int tile, int first, int count, float[] a, Scratch scratch) {
    long codes = decodeScales(tile, first, count, scratch);
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      multiplyLanes(data, codes, lane, count, scratch.scales, a, first, scratch.sums);
    }
  }

  private static void expandLanes(
      MemorySegment data, long codes, int lane, int count, float[] scales, float[] panel) {
    for (int j = 0; j < count / 8; j++) {
      int group = j / 4 * TILE + lane;
      long word = codes + lane * 4L + j * (TILE * 4L);
      FloatVector d0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector s8_0 = d0.mul(0x1p15f);
      FloatVector t8_0 = d0.mul(-(0x1p15f + 8));
      FloatVector s12_0 = d0.mul(0x1p11f);
      FloatVector t12_0 = d0.mul(-(0x1p11f + 8));
      FloatVector s16_0 = d0.mul(0x1p7f);
      FloatVector t16_0 = d0.mul(-(0x1p7f + 8));
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      IntVector l0 = w0.lanewise(VectorOperators.LSHL, 8);
      IntVector h0 = w0.lanewise(VectorOperators.LSHR, 12);
      FloatVector d1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector s8_1 = d1.mul(0x1p15f);
      FloatVector t8_1 = d1.mul(-(0x1p15f + 8));
      FloatVector s12_1 = d1.mul(0x1p11f);
      FloatVector t12_1 = d1.mul(-(0x1p11f + 8));
      FloatVector s16_1 = d1.mul(0x1p7f);
      FloatVector t16_1 = d1.mul(-(0x1p7f + 8));
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      IntVector l1 = w1.lanewise(VectorOperators.LSHL, 8);
      IntVector h1 = w1.lanewise(VectorOperators.LSHR, 12);
      int to = j * (8 * TILE) + lane;
      l0.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_0, t8_0).intoArray(panel, to);
      l1.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_1, t8_1).intoArray(panel, to + FLOATS);
      l0.and(0xf000).or(ONE).reinterpretAsFloats().fma(s12_0, t12_0).intoArray(panel, to + TILE);
      l1.and(0xf000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s12_1, t12_1)
          .intoArray(panel, to + TILE + FLOATS);
      w0.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_0, t8_0).intoArray(panel, to + 2 * TILE);
      w1.and(0xf00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s8_1, t8_1)
          .intoArray(panel, to + 2 * TILE + FLOATS);
      w0.and(0xf000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s12_0, t12_0)
          .intoArray(panel, to + 3 * TILE);
      w1.and(0xf000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s12_1, t12_1)
          .intoArray(panel, to + 3 * TILE + FLOATS);
      w0.and(0xf0000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s16_0, t16_0)
          .intoArray(panel, to + 4 * TILE);
      w1.and(0xf0000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s16_1, t16_1)
          .intoArray(panel, to + 4 * TILE + FLOATS);
      h0.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_0, t8_0).intoArray(panel, to + 5 * TILE);
      h1.and(0xf00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s8_1, t8_1)
          .intoArray(panel, to + 5 * TILE + FLOATS);
      h0.and(0xf000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s12_0, t12_0)
          .intoArray(panel, to + 6 * TILE);
      h1.and(0xf000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s12_1, t12_1)
          .intoArray(panel, to + 6 * TILE + FLOATS);
      h0.and(0xf0000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s16_0, t16_0)
          .intoArray(panel, to + 7 * TILE);
      h1.and(0xf0000)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s16_1, t16_1)
          .intoArray(panel, to + 7 * TILE + FLOATS);
    }
  }

  private static void multiplyLanes(
      MemorySegment data,
      long codes,
      int lane,
      int count,
      float[] scales,
      float[] a,
      int first,
      float[] sums) {
    FloatVector sum0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sum1 = FloatVector.fromArray(FLOAT, sums, lane + FLOATS);
    for (int j = 0; j < count / 8; j++) {
      int group = j / 4 * TILE + lane;
      long word = codes + lane * 4L + j * (TILE * 4L);
      FloatVector d0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector s8_0 = d0.mul(0x1p15f);
      FloatVector t8_0 = d0.mul(-(0x1p15f + 8));
      FloatVector s12_0 = d0.mul(0x1p11f);
      FloatVector t12_0 = d0.mul(-(0x1p11f + 8));
      FloatVector s16_0 = d0.mul(0x1p7f);
      FloatVector t16_0 = d0.mul(-(0x1p7f + 8));
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      IntVector l0 = w0.lanewise(VectorOperators.LSHL, 8);
      IntVector h0 = w0.lanewise(VectorOperators.LSHR, 12);
      FloatVector d1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector s8_1 = d1.mul(0x1p15f);
      FloatVector t8_1 = d1.mul(-(0x1p15f + 8));
      FloatVector s12_1 = d1.mul(0x1p11f);
      FloatVector t12_1 = d1.mul(-(0x1p11f + 8));
      FloatVector s16_1 = d1.mul(0x1p7f);
      FloatVector t16_1 = d1.mul(-(0x1p7f + 8));
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      IntVector l1 = w1.lanewise(VectorOperators.LSHL, 8);
      IntVector h1 = w1.lanewise(VectorOperators.LSHR, 12);
      int k = first + j * 8;
      FloatVector x = FloatVector.broadcast(FLOAT, a[k]);
      sum0 = l0.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_0, t8_0).fma(x, sum0);
      sum1 = l1.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_1, t8_1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 1]);
      sum0 = l0.and(0xf000).or(ONE).reinterpretAsFloats().fma(s12_0, t12_0).fma(x, sum0);
      sum1 = l1.and(0xf000).or(ONE).reinterpretAsFloats().fma(s12_1, t12_1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 2]);
      sum0 = w0.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_0, t8_0).fma(x, sum0);
      sum1 = w1.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_1, t8_1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 3]);
      sum0 = w0.and(0xf000).or(ONE).reinterpretAsFloats().fma(s12_0, t12_0).fma(x, sum0);
      sum1 = w1.and(0xf000).or(ONE).reinterpretAsFloats().fma(s12_1, t12_1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 4]);
      sum0 = w0.and(0xf0000).or(ONE).reinterpretAsFloats().fma(s16_0, t16_0).fma(x, sum0);
      sum1 = w1.and(0xf0000).or(ONE).reinterpretAsFloats().fma(s16_1, t16_1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 5]);
      sum0 = h0.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_0, t8_0).fma(x, sum0);
      sum1 = h1.and(0xf00).or(ONE).reinterpretAsFloats().fma(s8_1, t8_1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 6]);
      sum0 = h0.and(0xf000).or(ONE).reinterpretAsFloats().fma(s12_0, t12_0).fma(x, sum0);
      sum1 = h1.and(0xf000).or(ONE).reinterpretAsFloats().fma(s12_1, t12_1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 7]);
      sum0 = h0.and(0xf0000).or(ONE).reinterpretAsFloats().fma(s16_0, t16_0).fma(x, sum0);
      sum1 = h1.and(0xf0000).or(ONE).reinterpretAsFloats().fma(s16_1, t16_1).fma(x, sum1);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + FLOATS);
  }

  private static final class Layout implements PackedLayout {
    @Override
    public String name() {
      return "q4_0/1";
    }

    @Override
    public String kernel() {
      return "q4_0";
    }

    @Override
    public long tileBytes(int columns) {
      return (long) columns / BLOCK * BLOCK_BYTES;
    }

    @Override
    public void packTile(Tensor source, int tile, MemorySegment target, long offset) {
      for (int row = 0; row < Packing.rows(source, tile); row++) {
        long block = (tile * (long) TILE + row) * source.rowBytes();
        long chunk = offset;
        for (int first = 0; first < source.columns(); first += CHUNK) {
          int blocks = Math.min(CHUNK, source.columns() - first) / BLOCK;
          long word = chunk + blocks * (TILE * 2L) + row * 4L;
          for (int b = 0; b < blocks; b++) {
            Packing.copyHalf(source.data(), block, target, chunk + (b * TILE + row) * 2L);
            Packing.splitNibbles(source.data(), block + 2, target, word, TILE * 4L);
            block += SOURCE_BLOCK_BYTES;
            word += 4 * TILE * 4L;
          }
          chunk += (long) blocks * BLOCK_BYTES;
        }
      }
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new Q4_0Matrix(rows, columns, data);
    }
  }
}
