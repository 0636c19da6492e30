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
 * Eight-bit numbers as {@link Q8_0Matrix} has them, plus 128 each, but their upper and their lower
 * four bits apart: the upper ones and the scales alone give an estimate of every output ({@link
 * NibblePlane}). The order of sums and the bits of the products are those of {@link Q8_0Matrix}.
 *
 * <pre>
 *  tile:   | coarse chunk | coarse chunk | … | lower words of all columns |
 *  chunk:  | scales: halves, block 0: r0 … r31, block 1 … | norms: words | upper words |
 * </pre>
 *
 * <p>A word of norms has a byte for each of four blocks of a row: {@code 6·√Σ(l − 7.5)²} over the
 * lower four bits l of the block, rounded up (at most 255). Words of codes hold eight columns k … k
 * + 7 of one row, so that one selection of bits makes the bytes of four of them:
 *
 * <pre>
 *           bit 31 … 28  27 … 24  23 … 20  19 … 16  15 … 12  11 … 8   7 … 4    3 … 0
 *  upper:       k+3       k+7      k+2      k+6      k+1      k+5      k        k+4
 *  lower:       k+7       k+3      k+6      k+2      k+5      k+1      k+4      k
 * </pre>
 */
final class Q8_0PlanesMatrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout();

  static final int BLOCK = 32;

  /** Columns of a word of either plane. */
  static final int WORD_COLUMNS = 8;

  /** Units of a norm's byte in one unit of the lower bits. */
  static final int NORM_UNITS = 6;

  private static final int SOURCE_BLOCK_BYTES = 34;
  private static final int WORDS = TILE * Integer.BYTES;
  private static final int ONE = 0x3f800000;
  private static final int HIGH = 0xf0f0f0f0;
  private static final float OFFSET = -(1 + 0x1p-8f);

  private final long coarseBytes;

  private Q8_0PlanesMatrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
    coarseBytes = coarseBytes(columns);
  }

  /** Bytes of a tile's scales, norms and upper bits. */
  static long coarseBytes(int columns) {
    long bytes = 0;
    for (int first = 0; first < columns; first += CHUNK) {
      bytes += coarseChunkBytes(Math.min(CHUNK, columns - first));
    }
    return bytes;
  }

  /** Scales, norms and upper bits of a chunk. */
  private static long coarseChunkBytes(int count) {
    return normsAt(count) + normWords(count) * (long) WORDS + count / WORD_COLUMNS * (long) WORDS;
  }

  private static int normWords(int count) {
    return (count / BLOCK + 3) / 4;
  }

  /** Where the norms of a chunk of {@code count} columns start. */
  static long normsAt(int count) {
    return count / BLOCK * (TILE * 2L);
  }

  /** Where its upper words start. */
  static long upperAt(int count) {
    return normsAt(count) + normWords(count) * (long) WORDS;
  }

  /** Where the coarse chunk of column {@code first} starts; all chunks before are whole. */
  long coarseChunk(int tile, int first) {
    return tile * tileBytes + first / CHUNK * coarseChunkBytes(CHUNK);
  }

  private long lowerAt(int tile, int first) {
    return tile * tileBytes + coarseBytes + first / WORD_COLUMNS * (long) WORDS;
  }

  @Override
  long bytesRead() {
    long norms = 0;
    for (int first = 0; first < columns(); first += CHUNK) {
      norms += normWords(Math.min(CHUNK, columns() - first)) * (long) WORDS;
    }
    return bytes() - tiles() * norms;
  }

  /** Decodes scales of {@code count} columns of a chunk, times {@code factor}. */
  void decodeScales(long chunk, int count, float factor, Scratch scratch) {
    scratch.halvesToFloats(data, chunk, count / BLOCK * TILE, factor, scratch.scales);
  }

  @Override
  void expand(int tile, int first, int count, Scratch scratch) {
    long chunk = coarseChunk(tile, first);
    decodeScales(chunk, count, 0x1p15f, scratch);
    for (int lane = 0; lane < TILE; lane += FLOATS) {
      expandLanes(
          data,
          chunk + upperAt(count),
          lowerAt(tile, first),
          lane,
          count,
          scratch.scales,
          scratch.panel);
    }
  }

  @Override
  void multiplyRow(int tile, int first, int count, float[] a, Scratch scratch) {
    long chunk = coarseChunk(tile, first);
    decodeScales(chunk, count, 0x1p15f, scratch);
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      multiplyLanes(
          data,
          chunk + upperAt(count),
          lowerAt(tile, first),
          lane,
          count,
          scratch.scales,
          a,
          first,
          scratch.sums);
    }
  }

  /** One vector of outputs, eight columns at a time. */
  private static void expandLanes(
      MemorySegment data,
      long upper,
      long lower,
      int lane,
      int count,
      float[] scales,
      float[] panel) {
    for (int j = 0; j < count / WORD_COLUMNS; j++) {
      int group = j / 4 * TILE + lane;
      long word = lane * 4L + j * (long) WORDS;
      FloatVector s = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector t = s.mul(OFFSET);
      IntVector u = IntVector.fromMemorySegment(INT, data, upper + word, ORDER);
      IntVector l = IntVector.fromMemorySegment(INT, data, lower + word, ORDER);
      IntVector w0 = l.lanewise(VectorOperators.XOR, u.lanewise(VectorOperators.XOR, l).and(HIGH));
      u = u.lanewise(VectorOperators.LSHL, 4);
      l = l.lanewise(VectorOperators.LSHR, 4);
      IntVector w1 = l.lanewise(VectorOperators.XOR, u.lanewise(VectorOperators.XOR, l).and(HIGH));
      int to = j * (WORD_COLUMNS * TILE) + lane;
      w0.lanewise(VectorOperators.LSHL, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s, t)
          .intoArray(panel, to);
      w0.and(0xff00).or(ONE).reinterpretAsFloats().fma(s, t).intoArray(panel, to + TILE);
      w0.lanewise(VectorOperators.LSHR, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s, t)
          .intoArray(panel, to + 2 * TILE);
      w0.lanewise(VectorOperators.LSHR, 16)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s, t)
          .intoArray(panel, to + 3 * TILE);
      w1.lanewise(VectorOperators.LSHL, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s, t)
          .intoArray(panel, to + 4 * TILE);
      w1.and(0xff00).or(ONE).reinterpretAsFloats().fma(s, t).intoArray(panel, to + 5 * TILE);
      w1.lanewise(VectorOperators.LSHR, 8)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s, t)
          .intoArray(panel, to + 6 * TILE);
      w1.lanewise(VectorOperators.LSHR, 16)
          .and(0xff00)
          .or(ONE)
          .reinterpretAsFloats()
          .fma(s, t)
          .intoArray(panel, to + 7 * TILE);
    }
  }

  private static void multiplyLanes(
      MemorySegment data,
      long upper,
      long lower,
      int lane,
      int count,
      float[] scales,
      float[] a,
      int first,
      float[] sums) {
    FloatVector sum0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sum1 = FloatVector.fromArray(FLOAT, sums, lane + FLOATS);
    for (int j = 0; j < count / WORD_COLUMNS; j++) {
      int group = j / 4 * TILE + lane;
      long word = lane * 4L + j * (long) WORDS;
      FloatVector s0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector t0 = s0.mul(OFFSET);
      IntVector u0 = IntVector.fromMemorySegment(INT, data, upper + word, ORDER);
      IntVector l0 = IntVector.fromMemorySegment(INT, data, lower + word, ORDER);
      FloatVector s1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      FloatVector t1 = s1.mul(OFFSET);
      IntVector u1 = IntVector.fromMemorySegment(INT, data, upper + word + VECTOR_BYTES, ORDER);
      IntVector l1 = IntVector.fromMemorySegment(INT, data, lower + word + VECTOR_BYTES, ORDER);
      IntVector w0 =
          l0.lanewise(VectorOperators.XOR, u0.lanewise(VectorOperators.XOR, l0).and(HIGH));
      IntVector w1 =
          l1.lanewise(VectorOperators.XOR, u1.lanewise(VectorOperators.XOR, l1).and(HIGH));
      int k = first + j * WORD_COLUMNS;
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
      u0 = u0.lanewise(VectorOperators.LSHL, 4);
      u1 = u1.lanewise(VectorOperators.LSHL, 4);
      l0 = l0.lanewise(VectorOperators.LSHR, 4);
      l1 = l1.lanewise(VectorOperators.LSHR, 4);
      w0 = l0.lanewise(VectorOperators.XOR, u0.lanewise(VectorOperators.XOR, l0).and(HIGH));
      w1 = l1.lanewise(VectorOperators.XOR, u1.lanewise(VectorOperators.XOR, l1).and(HIGH));
      x = FloatVector.broadcast(FLOAT, a[k + 4]);
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
      x = FloatVector.broadcast(FLOAT, a[k + 5]);
      sum0 = w0.and(0xff00).or(ONE).reinterpretAsFloats().fma(s0, t0).fma(x, sum0);
      sum1 = w1.and(0xff00).or(ONE).reinterpretAsFloats().fma(s1, t1).fma(x, sum1);
      x = FloatVector.broadcast(FLOAT, a[k + 6]);
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
      x = FloatVector.broadcast(FLOAT, a[k + 7]);
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
      return "q8_0-planes/1";
    }

    @Override
    public String kernel() {
      return "q8_0 in two planes";
    }

    @Override
    public long tileBytes(int columns) {
      return coarseBytes(columns) + columns / WORD_COLUMNS * (long) WORDS;
    }

    @Override
    public void packTile(Tensor source, int tile, MemorySegment target, long offset) {
      int columns = source.columns();
      for (int row = 0; row < Packing.rows(source, tile); row++) {
        long block = (tile * (long) TILE + row) * source.rowBytes();
        long chunk = offset;
        long lower = offset + coarseBytes(columns) + row * 4L;
        for (int first = 0; first < columns; first += CHUNK) {
          int count = Math.min(CHUNK, columns - first);
          long norms = chunk + normsAt(count) + row * 4L;
          long upper = chunk + upperAt(count) + row * 4L;
          int four = 0;
          for (int b = 0; b < count / BLOCK; b++) {
            Packing.copyHalf(source.data(), block, target, chunk + (b * TILE + row) * 2L);
            int squares = 0;
            for (int k = 2; k < 2 + BLOCK; k += WORD_COLUMNS) {
              int near = Packing.getInt(source.data(), block + k) ^ 0x80808080;
              int far = Packing.getInt(source.data(), block + k + 4) ^ 0x80808080;
              Packing.putInt(target, upper, (near & HIGH) | ((far & HIGH) >>> 4));
              Packing.putInt(target, lower, (near & ~HIGH) | ((far & ~HIGH) << 4));
              squares += squares(near) + squares(far);
              upper += WORDS;
              lower += WORDS;
            }
            four |= norm(squares) << (b % 4 * 8);
            if (b % 4 == 3 || b + 1 == count / BLOCK) {
              Packing.putInt(target, norms + b / 4 * (long) WORDS, four);
              four = 0;
            }
            block += SOURCE_BLOCK_BYTES;
          }
          chunk += coarseChunkBytes(count);
        }
      }
    }

    /** {@code Σ(2l − 15)²} over the lower four bits of four bytes. */
    private static int squares(int bytes) {
      int sum = 0;
      for (int i = 0; i < Integer.SIZE; i += 8) {
        int odd = 2 * ((bytes >>> i) & 15) - 15;
        sum += odd * odd;
      }
      return sum;
    }

    /**
     * The norm in sixths, rounded up: {@code 6·√(squares / 4)}; exact squares stay what they are.
     */
    private static int norm(int squares) {
      return (int) Math.ceil(Math.sqrt(NORM_UNITS * NORM_UNITS / 4 * squares));
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new Q8_0PlanesMatrix(rows, columns, data);
    }
  }
}
