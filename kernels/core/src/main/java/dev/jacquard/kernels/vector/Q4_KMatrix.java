package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;
import static dev.jacquard.kernels.vector.Lanes.VECTOR_BYTES;

import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.Q4_K;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Four-bit numbers in groups of 32 columns, each with a scale and a minimum of six bits per row,
 * which have a common pair of halves d and dmin per 256 columns. A chunk of up to {@link
 * FloatMatrix#CHUNK} columns holds, for its B blocks of 256:
 *
 * <pre>
 *   d:      B × 32 rows, halves
 *   dmin:   B × 32 rows, halves
 *   scales: B × 8 groups × 32 rows, bytes      four groups of a row to a 32-bit word
 *   mins:   B × 8 groups × 32 rows, bytes      likewise
 *   codes:  B × 32 × 32 rows, 32-bit words     eight columns of a row, the first in the lowest bits
 * </pre>
 *
 * <p>Weights: (d·scale)·c − dmin·minimum, rounded once; the products are exact.
 */
final class Q4_KMatrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout();

  private static final int BLOCK = 256;
  private static final int BLOCK_BYTES = TILE * (4 + 16 + BLOCK / 2);
  private static final long WORDS = TILE * 4;

  private Q4_KMatrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  /** Decodes the chunk's scales and (negative) minimums and returns where its codes start. */
  private long decodeScales(int tile, int first, int count, Scratch scratch) {
    long chunk = tile * tileBytes + (long) first / BLOCK * BLOCK_BYTES;
    int blocks = count / BLOCK;
    long bytes = chunk + blocks * (TILE * 4L);
    float[] d = scratch.blockScales;
    scratch.halvesToFloats(data, chunk, blocks * TILE, 1, d);
    Scratch.multiplyBytes(data, bytes, blocks, 2, d, scratch.scales);
    scratch.halvesToFloats(data, chunk + blocks * (TILE * 2L), blocks * TILE, -1, d);
    Scratch.multiplyBytes(data, bytes + blocks * (2 * WORDS), blocks, 2, d, scratch.minimums);
    return bytes + blocks * (4 * WORDS);
  }

  @Override
  void expand(int tile, int first, int count, Scratch scratch) {
    long codes = decodeScales(tile, first, count, scratch);
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      expandLanes(data, codes, lane, count, scratch.scales, scratch.minimums, scratch.panel);
    }
  }

  @Override
  void multiplyRow(int tile, int first, int count, float[] a, Scratch scratch) {
    long codes = decodeScales(tile, first, count, scratch);
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      multiplyLanes(
          data, codes, lane, count, scratch.scales, scratch.minimums, a, first, scratch.sums);
    }
  }

  private static void expandLanes(
      MemorySegment data,
      long codes,
      int lane,
      int count,
      float[] scales,
      float[] minimums,
      float[] panel) {
    for (int j = 0; j < count / 8; j++) {
      int group = j / 4 * TILE + lane;
      long word = codes + lane * 4L + j * (TILE * 4L);
      FloatVector s0_0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector s4_0 = s0_0.mul(0x1p-4f);
      FloatVector s8_0 = s0_0.mul(0x1p-8f);
      FloatVector m0 = FloatVector.fromArray(FLOAT, minimums, group);
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      IntVector h0 = w0.lanewise(VectorOperators.LSHR, 12);
      IntVector x0 = w0.lanewise(VectorOperators.LSHR, 24);
      FloatVector s0_1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector s4_1 = s0_1.mul(0x1p-4f);
      FloatVector s8_1 = s0_1.mul(0x1p-8f);
      FloatVector m1 = FloatVector.fromArray(FLOAT, minimums, group + FLOATS);
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      IntVector h1 = w1.lanewise(VectorOperators.LSHR, 12);
      IntVector x1 = w1.lanewise(VectorOperators.LSHR, 24);
      int to = j * (8 * TILE) + lane;
      ((FloatVector) w0.and(0xf).castShape(FLOAT, 0)).fma(s0_0, m0).intoArray(panel, to);
      ((FloatVector) w1.and(0xf).castShape(FLOAT, 0)).fma(s0_1, m1).intoArray(panel, to + FLOATS);
      ((FloatVector) w0.and(0xf0).castShape(FLOAT, 0)).fma(s4_0, m0).intoArray(panel, to + TILE);
      ((FloatVector) w1.and(0xf0).castShape(FLOAT, 0))
          .fma(s4_1, m1)
          .intoArray(panel, to + TILE + FLOATS);
      ((FloatVector) w0.and(0xf00).castShape(FLOAT, 0))
          .fma(s8_0, m0)
          .intoArray(panel, to + 2 * TILE);
      ((FloatVector) w1.and(0xf00).castShape(FLOAT, 0))
          .fma(s8_1, m1)
          .intoArray(panel, to + 2 * TILE + FLOATS);
      ((FloatVector) h0.and(0xf).castShape(FLOAT, 0)).fma(s0_0, m0).intoArray(panel, to + 3 * TILE);
      ((FloatVector) h1.and(0xf).castShape(FLOAT, 0))
          .fma(s0_1, m1)
          .intoArray(panel, to + 3 * TILE + FLOATS);
      ((FloatVector) h0.and(0xf0).castShape(FLOAT, 0))
          .fma(s4_0, m0)
          .intoArray(panel, to + 4 * TILE);
      ((FloatVector) h1.and(0xf0).castShape(FLOAT, 0))
          .fma(s4_1, m1)
          .intoArray(panel, to + 4 * TILE + FLOATS);
      ((FloatVector) h0.and(0xf00).castShape(FLOAT, 0))
          .fma(s8_0, m0)
          .intoArray(panel, to + 5 * TILE);
      ((FloatVector) h1.and(0xf00).castShape(FLOAT, 0))
          .fma(s8_1, m1)
          .intoArray(panel, to + 5 * TILE + FLOATS);
      ((FloatVector) x0.and(0xf).castShape(FLOAT, 0)).fma(s0_0, m0).intoArray(panel, to + 6 * TILE);
      ((FloatVector) x1.and(0xf).castShape(FLOAT, 0))
          .fma(s0_1, m1)
          .intoArray(panel, to + 6 * TILE + FLOATS);
      ((FloatVector) x0.and(0xf0).castShape(FLOAT, 0))
          .fma(s4_0, m0)
          .intoArray(panel, to + 7 * TILE);
      ((FloatVector) x1.and(0xf0).castShape(FLOAT, 0))
          .fma(s4_1, m1)
          .intoArray(panel, to + 7 * TILE + FLOATS);
    }
  }

  private static void multiplyLanes(
      MemorySegment data,
      long codes,
      int lane,
      int count,
      float[] scales,
      float[] minimums,
      float[] a,
      int first,
      float[] sums) {
    FloatVector sum0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sum1 = FloatVector.fromArray(FLOAT, sums, lane + FLOATS);
    for (int j = 0; j < count / 8; j++) {
      int group = j / 4 * TILE + lane;
      long word = codes + lane * 4L + j * (TILE * 4L);
      FloatVector s0_0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector s4_0 = s0_0.mul(0x1p-4f);
      FloatVector s8_0 = s0_0.mul(0x1p-8f);
      FloatVector m0 = FloatVector.fromArray(FLOAT, minimums, group);
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      IntVector h0 = w0.lanewise(VectorOperators.LSHR, 12);
      IntVector x0 = w0.lanewise(VectorOperators.LSHR, 24);
      FloatVector s0_1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector s4_1 = s0_1.mul(0x1p-4f);
      FloatVector s8_1 = s0_1.mul(0x1p-8f);
      FloatVector m1 = FloatVector.fromArray(FLOAT, minimums, group + FLOATS);
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      IntVector h1 = w1.lanewise(VectorOperators.LSHR, 12);
      IntVector x1 = w1.lanewise(VectorOperators.LSHR, 24);
      int k = first + j * 8;
      FloatVector x = FloatVector.broadcast(FLOAT, a[k]);
      sum0 = ((FloatVector) w0.and(0xf).castShape(FLOAT, 0)).fma(s0_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) w1.and(0xf).castShape(FLOAT, 0)).fma(s0_1, m1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 1]);
      sum0 = ((FloatVector) w0.and(0xf0).castShape(FLOAT, 0)).fma(s4_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) w1.and(0xf0).castShape(FLOAT, 0)).fma(s4_1, m1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 2]);
      sum0 = ((FloatVector) w0.and(0xf00).castShape(FLOAT, 0)).fma(s8_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) w1.and(0xf00).castShape(FLOAT, 0)).fma(s8_1, m1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 3]);
      sum0 = ((FloatVector) h0.and(0xf).castShape(FLOAT, 0)).fma(s0_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) h1.and(0xf).castShape(FLOAT, 0)).fma(s0_1, m1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 4]);
      sum0 = ((FloatVector) h0.and(0xf0).castShape(FLOAT, 0)).fma(s4_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) h1.and(0xf0).castShape(FLOAT, 0)).fma(s4_1, m1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 5]);
      sum0 = ((FloatVector) h0.and(0xf00).castShape(FLOAT, 0)).fma(s8_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) h1.and(0xf00).castShape(FLOAT, 0)).fma(s8_1, m1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 6]);
      sum0 = ((FloatVector) x0.and(0xf).castShape(FLOAT, 0)).fma(s0_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) x1.and(0xf).castShape(FLOAT, 0)).fma(s0_1, m1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 7]);
      sum0 = ((FloatVector) x0.and(0xf0).castShape(FLOAT, 0)).fma(s4_0, m0).fma(x, sum0);
      sum1 = ((FloatVector) x1.and(0xf0).castShape(FLOAT, 0)).fma(s4_1, m1).fma(x, sum1);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + FLOATS);
  }

  /**
   * Unpacks twelve bytes of six-bit numbers, drawn in {@link Q4_K}, to a byte each: two words of
   * scales, two of minimums.
   */
  static void unpackScales(MemorySegment from, long at, int[] words) {
    int p = Packing.getInt(from, at);
    int q = Packing.getInt(from, at + 4);
    int r = Packing.getInt(from, at + 8);
    words[0] = p & 0x3f3f3f3f;
    words[1] = (r & 0x0f0f0f0f) | ((p >>> 2) & 0x30303030);
    words[2] = q & 0x3f3f3f3f;
    words[3] = ((r >>> 4) & 0x0f0f0f0f) | ((q >>> 2) & 0x30303030);
  }

  private static final class Layout implements PackedLayout {
    @Override
    public String name() {
      return "q4_k/1";
    }

    @Override
    public String kernel() {
      return "q4_k";
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
          long scales = chunk + blocks * (TILE * 4L) + row * 4L;
          long word = scales + blocks * (4 * WORDS);
          for (int b = 0; b < blocks; b++) {
            long half = chunk + (b * TILE + row) * 2L;
            Packing.copyHalf(from, block, target, half);
            Packing.copyHalf(from, block + 2, target, half + blocks * (TILE * 2L));
            packScales(from, block + 4, target, scales + b * (2 * WORDS), blocks * (2 * WORDS));
            for (int pair = 0; pair < 4; pair++) {
              packPair(from, block + 16 + pair * 32L, target, word);
              word += 8 * WORDS;
            }
            block += Q4_K.INSTANCE.blockBytes();
          }
          chunk += (long) blocks * BLOCK_BYTES;
        }
      }
    }

    /** Writes the scales of a row, and its minimums {@code toMinimums} bytes further. */
    private static void packScales(
        MemorySegment from, long at, MemorySegment to, long scales, long toMinimums) {
      int[] words = new int[4];
      unpackScales(from, at, words);
      Packing.putInt(to, scales, words[0]);
      Packing.putInt(to, scales + WORDS, words[1]);
      Packing.putInt(to, scales + toMinimums, words[2]);
      Packing.putInt(to, scales + toMinimums + WORDS, words[3]);
    }

    /** 32 bytes: low nibbles are columns 0 … 31, high nibbles columns 32 … 63. */
    private static void packPair(MemorySegment from, long at, MemorySegment to, long word) {
      for (int g = 0; g < 4; g++) {
        int a = Packing.getInt(from, at + g * 8L);
        int b = Packing.getInt(from, at + g * 8L + 4);
        Packing.putInt(to, word + g * WORDS, Packing.lowNibbles(a, b));
        Packing.putInt(to, word + (4 + g) * WORDS, Packing.lowNibbles(a >>> 4, b >>> 4));
      }
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new Q4_KMatrix(rows, columns, data);
    }
  }
}
