package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;
import static dev.jacquard.kernels.vector.Lanes.VECTOR_BYTES;

import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.Q6_K;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Six-bit numbers in groups of 16 columns, each with a signed byte as scale per row, which have a
 * common half d per 256 columns. A chunk of up to {@link FloatMatrix#CHUNK} columns holds, for its
 * B blocks of 256:
 *
 * <pre>
 *   d:      B × 32 rows, halves
 *   scales: B × 16 groups × 32 rows, bytes     four groups of a row to a 32-bit word
 *   codes:  B × 16 groups × three times 32 words:
 *             high bits of the group: bits 4u, 4u + 1: column u; bits 4u + 2, 4u + 3: column 8 + u
 *             low nibbles of columns 0 … 7, the first in the lowest bits
 *             low nibbles of columns 8 … 15
 * </pre>
 *
 * <p>Decoding: a code c put together in bits p … p + 5 (p = 13, 17) under the exponent of 1 is the
 * float 1 + c·2^(p − 23), so that {@code fma(2^(23 − p)·s, that, −(2^(23 − p) + 32)·s)} is exactly
 * s·(c − 32) for the scale s = d·scale of 18 bits.
 */
final class Q6_KMatrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout();

  private static final int BLOCK = 256;
  private static final int BLOCK_BYTES = TILE * (2 + 16 + BLOCK * 6 / 8);
  private static final long WORDS = TILE * 4;
  private static final int ONE = 0x3f800000;

  private Q6_KMatrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  /** Decodes the chunk's scales and returns where its codes start. */
  private long decodeScales(int tile, int first, int count, Scratch scratch) {
    long chunk = tile * tileBytes + (long) first / BLOCK * BLOCK_BYTES;
    int blocks = count / BLOCK;
    long bytes = chunk + blocks * (TILE * 2L);
    scratch.halvesToFloats(data, chunk, blocks * TILE, 1, scratch.blockScales);
    Scratch.multiplyBytes(data, bytes, blocks, 4, scratch.blockScales, scratch.scales);
    return bytes + blocks * (4 * WORDS);
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
      int group = j / 2 * TILE + lane;
      long bits = codes + lane * 4L + j / 2 * (3 * WORDS);
      long word = bits + (1 + (j & 1)) * WORDS;
      FloatVector d0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector s13_0 = d0.mul(0x1p10f);
      FloatVector t13_0 = d0.mul(-(0x1p10f + 32));
      FloatVector s17_0 = d0.mul(0x1p6f);
      FloatVector t17_0 = d0.mul(-(0x1p6f + 32));
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      IntVector b0 =
          IntVector.fromMemorySegment(INT, data, bits, ORDER)
              .lanewise(VectorOperators.LSHR, 2 * (j & 1));
      FloatVector d1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector s13_1 = d1.mul(0x1p10f);
      FloatVector t13_1 = d1.mul(-(0x1p10f + 32));
      FloatVector s17_1 = d1.mul(0x1p6f);
      FloatVector t17_1 = d1.mul(-(0x1p6f + 32));
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      IntVector b1 =
          IntVector.fromMemorySegment(INT, data, bits + VECTOR_BYTES, ORDER)
              .lanewise(VectorOperators.LSHR, 2 * (j & 1));
      int to = j * (8 * TILE) + lane;
      w0.lanewise(VectorOperators.LSHL, 13)
          .and(0x1e000)
          .or(b0.lanewise(VectorOperators.LSHL, 17).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_0, t13_0)
          .intoArray(panel, to);
      w1.lanewise(VectorOperators.LSHL, 13)
          .and(0x1e000)
          .or(b1.lanewise(VectorOperators.LSHL, 17).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_1, t13_1)
          .intoArray(panel, to + FLOATS);
      w0.lanewise(VectorOperators.LSHL, 13)
          .and(0x1e0000)
          .or(b0.lanewise(VectorOperators.LSHL, 17).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_0, t17_0)
          .intoArray(panel, to + TILE);
      w1.lanewise(VectorOperators.LSHL, 13)
          .and(0x1e0000)
          .or(b1.lanewise(VectorOperators.LSHL, 17).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_1, t17_1)
          .intoArray(panel, to + TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHL, 5)
          .and(0x1e000)
          .or(b0.lanewise(VectorOperators.LSHL, 9).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_0, t13_0)
          .intoArray(panel, to + 2 * TILE);
      w1.lanewise(VectorOperators.LSHL, 5)
          .and(0x1e000)
          .or(b1.lanewise(VectorOperators.LSHL, 9).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_1, t13_1)
          .intoArray(panel, to + 2 * TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHL, 5)
          .and(0x1e0000)
          .or(b0.lanewise(VectorOperators.LSHL, 9).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_0, t17_0)
          .intoArray(panel, to + 3 * TILE);
      w1.lanewise(VectorOperators.LSHL, 5)
          .and(0x1e0000)
          .or(b1.lanewise(VectorOperators.LSHL, 9).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_1, t17_1)
          .intoArray(panel, to + 3 * TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHR, 3)
          .and(0x1e000)
          .or(b0.lanewise(VectorOperators.LSHL, 1).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_0, t13_0)
          .intoArray(panel, to + 4 * TILE);
      w1.lanewise(VectorOperators.LSHR, 3)
          .and(0x1e000)
          .or(b1.lanewise(VectorOperators.LSHL, 1).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_1, t13_1)
          .intoArray(panel, to + 4 * TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHR, 3)
          .and(0x1e0000)
          .or(b0.lanewise(VectorOperators.LSHL, 1).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_0, t17_0)
          .intoArray(panel, to + 5 * TILE);
      w1.lanewise(VectorOperators.LSHR, 3)
          .and(0x1e0000)
          .or(b1.lanewise(VectorOperators.LSHL, 1).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_1, t17_1)
          .intoArray(panel, to + 5 * TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHR, 11)
          .and(0x1e000)
          .or(b0.lanewise(VectorOperators.LSHR, 7).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_0, t13_0)
          .intoArray(panel, to + 6 * TILE);
      w1.lanewise(VectorOperators.LSHR, 11)
          .and(0x1e000)
          .or(b1.lanewise(VectorOperators.LSHR, 7).and(0x60000).or(ONE))
          .reinterpretAsFloats()
          .fma(s13_1, t13_1)
          .intoArray(panel, to + 6 * TILE + FLOATS);
      w0.lanewise(VectorOperators.LSHR, 11)
          .and(0x1e0000)
          .or(b0.lanewise(VectorOperators.LSHR, 7).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_0, t17_0)
          .intoArray(panel, to + 7 * TILE);
      w1.lanewise(VectorOperators.LSHR, 11)
          .and(0x1e0000)
          .or(b1.lanewise(VectorOperators.LSHR, 7).and(0x600000).or(ONE))
          .reinterpretAsFloats()
          .fma(s17_1, t17_1)
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
      int group = j / 2 * TILE + lane;
      long bits = codes + lane * 4L + j / 2 * (3 * WORDS);
      long word = bits + (1 + (j & 1)) * WORDS;
      FloatVector d0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector s13_0 = d0.mul(0x1p10f);
      FloatVector t13_0 = d0.mul(-(0x1p10f + 32));
      FloatVector s17_0 = d0.mul(0x1p6f);
      FloatVector t17_0 = d0.mul(-(0x1p6f + 32));
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      IntVector b0 =
          IntVector.fromMemorySegment(INT, data, bits, ORDER)
              .lanewise(VectorOperators.LSHR, 2 * (j & 1));
      FloatVector d1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector s13_1 = d1.mul(0x1p10f);
      FloatVector t13_1 = d1.mul(-(0x1p10f + 32));
      FloatVector s17_1 = d1.mul(0x1p6f);
      FloatVector t17_1 = d1.mul(-(0x1p6f + 32));
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      IntVector b1 =
          IntVector.fromMemorySegment(INT, data, bits + VECTOR_BYTES, ORDER)
              .lanewise(VectorOperators.LSHR, 2 * (j & 1));
      int k = first + j * 8;
      FloatVector x = FloatVector.broadcast(FLOAT, a[k]);
      sum0 =
          w0.lanewise(VectorOperators.LSHL, 13)
              .and(0x1e000)
              .or(b0.lanewise(VectorOperators.LSHL, 17).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_0, t13_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHL, 13)
              .and(0x1e000)
              .or(b1.lanewise(VectorOperators.LSHL, 17).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_1, t13_1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 1]);
      sum0 =
          w0.lanewise(VectorOperators.LSHL, 13)
              .and(0x1e0000)
              .or(b0.lanewise(VectorOperators.LSHL, 17).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_0, t17_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHL, 13)
              .and(0x1e0000)
              .or(b1.lanewise(VectorOperators.LSHL, 17).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_1, t17_1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 2]);
      sum0 =
          w0.lanewise(VectorOperators.LSHL, 5)
              .and(0x1e000)
              .or(b0.lanewise(VectorOperators.LSHL, 9).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_0, t13_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHL, 5)
              .and(0x1e000)
              .or(b1.lanewise(VectorOperators.LSHL, 9).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_1, t13_1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 3]);
      sum0 =
          w0.lanewise(VectorOperators.LSHL, 5)
              .and(0x1e0000)
              .or(b0.lanewise(VectorOperators.LSHL, 9).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_0, t17_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHL, 5)
              .and(0x1e0000)
              .or(b1.lanewise(VectorOperators.LSHL, 9).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_1, t17_1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 4]);
      sum0 =
          w0.lanewise(VectorOperators.LSHR, 3)
              .and(0x1e000)
              .or(b0.lanewise(VectorOperators.LSHL, 1).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_0, t13_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHR, 3)
              .and(0x1e000)
              .or(b1.lanewise(VectorOperators.LSHL, 1).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_1, t13_1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 5]);
      sum0 =
          w0.lanewise(VectorOperators.LSHR, 3)
              .and(0x1e0000)
              .or(b0.lanewise(VectorOperators.LSHL, 1).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_0, t17_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHR, 3)
              .and(0x1e0000)
              .or(b1.lanewise(VectorOperators.LSHL, 1).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_1, t17_1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 6]);
      sum0 =
          w0.lanewise(VectorOperators.LSHR, 11)
              .and(0x1e000)
              .or(b0.lanewise(VectorOperators.LSHR, 7).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_0, t13_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHR, 11)
              .and(0x1e000)
              .or(b1.lanewise(VectorOperators.LSHR, 7).and(0x60000).or(ONE))
              .reinterpretAsFloats()
              .fma(s13_1, t13_1)
              .fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 7]);
      sum0 =
          w0.lanewise(VectorOperators.LSHR, 11)
              .and(0x1e0000)
              .or(b0.lanewise(VectorOperators.LSHR, 7).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_0, t17_0)
              .fma(x, sum0);
      sum1 =
          w1.lanewise(VectorOperators.LSHR, 11)
              .and(0x1e0000)
              .or(b1.lanewise(VectorOperators.LSHR, 7).and(0x600000).or(ONE))
              .reinterpretAsFloats()
              .fma(s17_1, t17_1)
              .fma(x, sum1);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + FLOATS);
  }

  private static final class Layout implements PackedLayout {
    @Override
    public String name() {
      return "q6_k/1";
    }

    @Override
    public String kernel() {
      return "q6_k";
    }

    @Override
    public long tileBytes(int columns) {
      return (long) columns / BLOCK * BLOCK_BYTES;
    }

    @Override
    public void packTile(Tensor source, int tile, MemorySegment target, long offset) {
      MemorySegment from = source.data();
      for (int row = 0; row < Packing.rows(source, tile); row++) {
        long block = (tile * (long) TILE + row) * source.rowBytes();
        long chunk = offset;
        for (int first = 0; first < source.columns(); first += CHUNK) {
          int blocks = Math.min(CHUNK, source.columns() - first) / BLOCK;
          long scales = chunk + blocks * (TILE * 2L) + row * 4L;
          long codes = scales + blocks * (4 * WORDS);
          for (int b = 0; b < blocks; b++) {
            Packing.copyHalf(from, block + 208, target, chunk + (b * TILE + row) * 2L);
            for (int i = 0; i < 4; i++) {
              int four = Packing.getInt(from, block + 192 + i * 4L);
              Packing.putInt(target, scales, four);
              scales += WORDS;
            }
            for (int group = 0; group < 16; group++) {
              packGroup(from, block, group, target, codes);
              codes += 3 * WORDS;
            }
            block += Q6_K.INSTANCE.blockBytes();
          }
          chunk += (long) blocks * BLOCK_BYTES;
        }
      }
    }

    /** Packs 16 columns; which bits of a block are theirs is drawn in {@link Q6_K}. */
    private static void packGroup(
        MemorySegment from, long block, int group, MemorySegment to, long codes) {
      int row = group / 2;
      int side = group % 2 * 16;
      long low = block + row / 4 * 64L + row % 2 * 32L + side;
      int lowShift = row % 4 / 2 * 4;
      long high = block + 128 + row / 4 * 32L + side;
      int highShift = row % 4 * 2;
      int bits = 0;
      for (int half = 0; half < 2; half++) {
        int a = Packing.getInt(from, low + half * 8L) >>> lowShift;
        int b = Packing.getInt(from, low + half * 8L + 4) >>> lowShift;
        Packing.putInt(to, codes + (1 + half) * WORDS, Packing.lowNibbles(a, b));
        int c = (Packing.getInt(from, high + half * 8L) >>> highShift) & 0x03030303;
        int d = (Packing.getInt(from, high + half * 8L + 4) >>> highShift) & 0x03030303;
        bits |= Packing.lowNibbles(c, d) << (2 * half);
      }
      Packing.putInt(to, codes, bits);
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new Q6_KMatrix(rows, columns, data);
    }
  }
}
