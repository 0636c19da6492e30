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
 * Eight-bit numbers in blocks of 32 columns, each with a scale per row. A chunk of up to {@link
 * FloatMatrix#CHUNK} columns holds the scales of its blocks, then its codes: a 32-bit word has four
 * columns of one row, plus 128 each.
 *
 * <pre>
 *  chunk:  scales (halves)               words
 *          +-------------+-------------+-+-------------+-------------+--
 *          | block 0:    | block 1:    |…| k = 0 … 3:  | k = 4 … 7:  |…
 *          | r0 r1 … r31 | r0 … r31    | | r0 r1 … r31 | r0 … r31    |
 *          +-------------+-------------+-+-------------+-------------+--
 * </pre>
 *
 * <p>Decoding: a code c put into bits 8 … 15 under the exponent of 1 is the float 1 + c·2⁻¹⁵, so
 * that {@code fma(2¹⁵d, that, −(2¹⁵ + 128)d)} is exactly d·(c − 128): no conversion from integers.
 */
final class Q8_0Matrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout();

  private static final int BLOCK = 32;
  private static final int BLOCK_BYTES = TILE * (2 + BLOCK);
  private static final int SOURCE_BLOCK_BYTES = 34;
  private static final int ONE = 0x3f800000;
  private static final float OFFSET = -(1 + 0x1p-8f);

  private Q8_0Matrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  /** Decodes the chunk's scales, times 2¹⁵, and returns where its codes start. */
  private long decodeScales(int tile, int first, int count, Scratch scratch) {
    long chunk = tile * tileBytes + (long) first / BLOCK * BLOCK_BYTES;
    int scales = count / BLOCK * TILE;
    scratch.halvesToFloats(data, chunk, scales, 0x1p15f, scratch.scales);
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
    for (int j = 0; j < count / 4; j++) {
      int group = j / 8 * TILE + lane;
      long word = codes + lane * 4L + j * (TILE * 4L);
      FloatVector s0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector t0 = s0.mul(OFFSET);
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      FloatVector s1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector t1 = s1.mul(OFFSET);
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      int to = j * (4 * TILE) + lane;
      w0.lanewise(VectorOperators.LSHL, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s0, t0)
          .intoArray(panel, to);
      w1.lanewise(VectorOperators.LSHL, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s1, t1)
          .intoArray(panel, to + FLOATS);
      w0.and(0xff00).or(ONE).reinterpretAsFloats().fma(s0, t0).intoArray(panel, to + TILE);
      w1.and(0xff00).or(ONE).reinterpretAsFloats().fma(s1, t1).intoArray(panel, to + TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHR, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s0, t0)
          .intoArray(panel, to + 2 * TILE);
      w1.lanewise(VectorOperators.LSHR, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s1, t1)
          .intoArray(panel, to + 2 * TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHR, 16)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s0, t0)
          .intoArray(panel, to + 3 * TILE);
      w1.lanewise(VectorOperators.LSHR, 16)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s1, t1)
          .intoArray(panel, to + 3 * TILE + FLOATS);
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
    for (int j = 0; j < count / 4; j++) {
      int group = j / 8 * TILE + lane;
      long word = codes + lane * 4L + j * (TILE * 4L);
      FloatVector s0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector t0 = s0.mul(OFFSET);
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      FloatVector s1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector t1 = s1.mul(OFFSET);
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      int k = first + j * 4;
      FloatVector x = FloatVector.broadcast(FLOAT, a[k]);
      sum0 =
          w0.lanewise(VectorOperators.LSHL, 8)
              .and(0xff00)
              .or(ONE)
              .reinterpretAsFloats()
              .fma(s0, t0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHL, 8)
              .and(0xff00)
              .or(ONE)
              .reinterpretAsFloats()
              .fma(s1, t1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 1]);
      sum0 = w0.and(0xff00).or(ONE).reinterpretAsFloats().fma(s0, t0).fma(x, sum0);
      sum1 = w1.and(0xff00).or(ONE).reinterpretAsFloats().fma(s1, t1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 2]);
      sum0 =
          w0.lanewise(VectorOperators.LSHR, 8)
              .and(0xff00)
              .or(ONE)
              .reinterpretAsFloats()
              .fma(s0, t0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHR, 8)
              .and(0xff00)
              .or(ONE)
              .reinterpretAsFloats()
              .fma(s1, t1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 3]);
      sum0 =
          w0.lanewise(VectorOperators.LSHR, 16)
              .and(0xff00)
              .or(ONE)
              .reinterpretAsFloats()
              .fma(s0, t0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHR, 16)
              .and(0xff00)
              .or(ONE)
              .reinterpretAsFloats()
              .fma(s1, t1)
              .fma(x, sum1);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + FLOATS);
  }

  private static final class Layout implements PackedLayout {
    @Override
    public String name() {
      return "q8_0/1";
    }

    @Override
    public String kernel() {
      return "q8_0";
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
            for (int k = 0; k < BLOCK; k += 4) {
              int codes = Packing.getInt(source.data(), block + 2 + k);
              Packing.putInt(target, word, codes ^ 0x80808080);
              word += TILE * 4L;
            }
            block += SOURCE_BLOCK_BYTES;
          }
          chunk += (long) blocks * BLOCK_BYTES;
        }
      }
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new Q8_0Matrix(rows, columns, data);
    }
  }
}
