package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Rows in codes of four or eight bits, in lines of 64 bytes: sixteen words of eight codes (128
 * columns) or of four (64 columns); code n of word l belongs to column 16·n + l. Behind the codes
 * of a row stand, as floats, the scales of its groups, and with four bits also what is added to
 * each weight of a group.
 *
 * <pre>
 *  row:  line 0 | line 1 | … | scales | offsets | nothing, up to a whole line
 * </pre>
 *
 * <p>Activations are prepared with the factor that takes back where a code stands in its word, so
 * that a code is only masked and converted.
 */
final class CodeRows extends UpRows {
  private static final int LINE = 64;
  private static final int WORDS = 16;
  private static final ValueLayout.OfFloat VALUE =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

  private final BlockCodes codes;
  private final int rows;
  private final int columns;
  private final MemorySegment data;
  private final int lines;
  private final int groups;
  private final long rowBytes;

  private CodeRows(BlockCodes codes, int rows, int columns, MemorySegment data) {
    this.codes = codes;
    this.rows = rows;
    this.columns = columns;
    this.data = data;
    lines = lines(codes, columns);
    groups = groups(codes, columns);
    rowBytes = rowBytes(codes, columns);
  }

  private static int lineColumns(BlockCodes codes) {
    return LINE * 8 / codes.bits();
  }

  private static int lines(BlockCodes codes, int columns) {
    return (columns + lineColumns(codes) - 1) / lineColumns(codes);
  }

  /** Groups of all lines, so that kernels need no end of their own. */
  private static int groups(BlockCodes codes, int columns) {
    return lines(codes, columns) * lineColumns(codes) / codes.group();
  }

  private static long rowBytes(BlockCodes codes, int columns) {
    int numbers = groups(codes, columns) * (codes.bits() == 4 ? 2 : 1);
    long bytes = (long) lines(codes, columns) * LINE + 4L * numbers;
    return (bytes + LINE - 1) / LINE * LINE;
  }

  /** Bytes that a matrix takes. */
  static long bytes(BlockCodes codes, int rows, int columns) {
    return rows * rowBytes(codes, columns);
  }

  @Override
  long bytes() {
    return rows * rowBytes;
  }

  @Override
  long rowBytes() {
    return rowBytes;
  }

  /**
   * Activations of all lines; behind them as many numbers that sums begin with: with eight bits
   * −bias times each, with four bits, for a group's offset, the sums of the activations of its two
   * lots of sixteen.
   */
  @Override
  int preparedSize() {
    return 2 * lines * lineColumns(codes);
  }

  @Override
  void prepare(float[] x, int offset, float[] prepared) {
    int half = preparedSize() / 2;
    for (int k = 0; k < half; k++) {
      int n = k % lineColumns(codes) / WORDS;
      int place = codes.bits() == 4 ? 4 * (n % 4) : n == 3 ? 0 : 8 * n;
      float value = k < columns ? x[offset + k] : 0;
      prepared[k] = Math.scalb(1f, -place) * value;
      float partner = k + WORDS < columns ? x[offset + k + WORDS] : 0;
      prepared[half + k] = codes.bits() == 4 ? value + partner : -codes.bias() * value;
    }
  }

  @Override
  float dot(int neuron, float[] prepared, Scratch scratch) {
    long at = neuron * rowBytes;
    long scales = at + (long) lines * LINE;
    int second = preparedSize() / 2;
    for (int lane = 0; lane < WORDS; lane += FLOATS) {
      if (codes.bits() == 4) {
        long offsets = scales + 4L * groups;
        dotNibbles(data, at, scales, offsets, lane, lines, prepared, second, scratch.sums);
      } else {
        int shift = codes.group() == 32 ? 1 : 0;
        dotBytes(data, at, scales, shift, lane, lines, prepared, second, scratch.sums);
      }
    }
    return total(scratch.sums);
  }

  private static void dotNibbles(
      MemorySegment data,
      long at,
      long scales,
      long offsets,
      int lane,
      int lines,
      float[] x,
      int plain,
      float[] sums) {
    FloatVector sum0 = FloatVector.zero(FLOAT);
    FloatVector sum1 = FloatVector.zero(FLOAT);
    FloatVector sum2 = FloatVector.zero(FLOAT);
    FloatVector sum3 = FloatVector.zero(FLOAT);
    for (int line = 0; line < lines; line++) {
      IntVector w = IntVector.fromMemorySegment(INT, data, at + line * 64L + lane * 4L, ORDER);
      IntVector h = w.lanewise(VectorOperators.LSHR, 16);
      int k = line * 128 + lane;
      int p = plain + k;
      long s = scales + line * 16L;
      long o = offsets + line * 16L;
      FloatVector g0 =
          ((FloatVector) w.and(0xf).castShape(FLOAT, 0)).mul(FloatVector.fromArray(FLOAT, x, k));
      FloatVector g1 =
          ((FloatVector) w.and(0xf00).castShape(FLOAT, 0))
              .mul(FloatVector.fromArray(FLOAT, x, k + 32));
      FloatVector g2 =
          ((FloatVector) h.and(0xf).castShape(FLOAT, 0))
              .mul(FloatVector.fromArray(FLOAT, x, k + 64));
      FloatVector g3 =
          ((FloatVector) h.and(0xf00).castShape(FLOAT, 0))
              .mul(FloatVector.fromArray(FLOAT, x, k + 96));
      g0 =
          ((FloatVector) w.and(0xf0).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k + 16), g0);
      g1 =
          ((FloatVector) w.and(0xf000).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k + 48), g1);
      g2 =
          ((FloatVector) h.and(0xf0).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k + 80), g2);
      g3 =
          ((FloatVector) h.and(0xf000).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k + 112), g3);
      sum0 = g0.fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s)), sum0);
      sum1 = g1.fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s + 4)), sum1);
      sum2 = g2.fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s + 8)), sum2);
      sum3 = g3.fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s + 12)), sum3);
      sum0 =
          FloatVector.fromArray(FLOAT, x, p)
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, o)), sum0);
      sum1 =
          FloatVector.fromArray(FLOAT, x, p + 32)
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, o + 4)), sum1);
      sum2 =
          FloatVector.fromArray(FLOAT, x, p + 64)
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, o + 8)), sum2);
      sum3 =
          FloatVector.fromArray(FLOAT, x, p + 96)
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, o + 12)), sum3);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + 16);
    sum2.intoArray(sums, lane + 32);
    sum3.intoArray(sums, lane + 48);
  }

  private static void dotBytes(
      MemorySegment data,
      long at,
      long scales,
      int shift,
      int lane,
      int lines,
      float[] x,
      int begin,
      float[] sums) {
    FloatVector sum0 = FloatVector.zero(FLOAT);
    FloatVector sum1 = FloatVector.zero(FLOAT);
    FloatVector sum2 = FloatVector.zero(FLOAT);
    FloatVector sum3 = FloatVector.zero(FLOAT);
    for (int line = 0; line < lines; line++) {
      IntVector w = IntVector.fromMemorySegment(INT, data, at + line * 64L + lane * 4L, ORDER);
      int k = line * 64 + lane;
      int b = begin + k;
      int g = line * 4;
      long s0 = scales + (g >>> shift) * 4L;
      long s1 = scales + ((g + 1) >>> shift) * 4L;
      long s2 = scales + ((g + 2) >>> shift) * 4L;
      long s3 = scales + ((g + 3) >>> shift) * 4L;
      sum0 =
          ((FloatVector) w.and(0xff).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k), FloatVector.fromArray(FLOAT, x, b))
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s0)), sum0);
      sum1 =
          ((FloatVector) w.and(0xff00).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k + 16), FloatVector.fromArray(FLOAT, x, b + 16))
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s1)), sum1);
      sum2 =
          ((FloatVector) w.and(0xff0000).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k + 32), FloatVector.fromArray(FLOAT, x, b + 32))
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s2)), sum2);
      sum3 =
          ((FloatVector) w.lanewise(VectorOperators.LSHR, 24).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, x, k + 48), FloatVector.fromArray(FLOAT, x, b + 48))
              .fma(FloatVector.broadcast(FLOAT, data.get(VALUE, s3)), sum3);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + 16);
    sum2.intoArray(sums, lane + 32);
    sum3.intoArray(sums, lane + 48);
  }

  /** A matrix over packed rows. */
  static CodeRows view(BlockCodes codes, int rows, int columns, MemorySegment data) {
    return new CodeRows(codes, rows, columns, data);
  }

  /** Writes rows {@code from} to {@code to} − 1 of {@code up} to {@code target}, of zeros. */
  static void pack(Tensor up, BlockCodes codes, int from, int to, MemorySegment target) {
    int columns = up.columns();
    byte[] unpacked = new byte[lines(codes, columns) * lineColumns(codes)];
    for (int row = from; row < to; row++) {
      long at = row * rowBytes(codes, columns);
      long scales = at + (long) lines(codes, columns) * LINE;
      long offsets = scales + 4L * groups(codes, columns);
      for (int k = 0; k < columns; k += codes.columns()) {
        long block = row * up.rowBytes() + (long) k / codes.columns() * codes.blockBytes();
        codes.read(up.data(), block, unpacked, k);
        packScales(up.data(), block, codes, target, scales, offsets, k / codes.group());
      }
      packCodes(unpacked, codes, target, at);
    }
  }

  private static void packCodes(byte[] unpacked, BlockCodes codes, MemorySegment target, long at) {
    int lineColumns = lineColumns(codes);
    for (int k = 0; k < unpacked.length; k += lineColumns) {
      for (int l = 0; l < WORDS; l++) {
        int word = 0;
        for (int n = 0; n < lineColumns / WORDS; n++) {
          word |= (unpacked[k + n * WORDS + l] & 0xff) << (codes.bits() * n);
        }
        Packing.putInt(target, at + (long) k / lineColumns * LINE + l * 4L, word);
      }
    }
  }

  private static void packScales(
      MemorySegment from,
      long block,
      BlockCodes codes,
      MemorySegment to,
      long scales,
      long offsets,
      int group) {
    long scale = scales + 4L * group;
    long offset = offsets + 4L * group;
    switch (codes) {
      case Q4_0 -> {
        float d = Packing.getHalf(from, block);
        Packing.putFloat(to, scale, d);
        Packing.putFloat(to, offset, -codes.bias() * d);
      }
      case Q5_0, Q8_0 -> Packing.putFloat(to, scale, Packing.getHalf(from, block));
      case Q4_K -> {
        int[] packed = new int[4];
        Q4_KMatrix.unpackScales(from, block + 4, packed);
        float d = Packing.getHalf(from, block);
        float dmin = Packing.getHalf(from, block + 2);
        for (int g = 0; g < 8; g++) {
          int shift = g % 4 * 8;
          Packing.putFloat(to, scale + 4L * g, d * (packed[g / 4] >>> shift & 0x3f));
          Packing.putFloat(to, offset + 4L * g, -dmin * (packed[2 + g / 4] >>> shift & 0x3f));
        }
      }
      case Q6_K -> {
        float d = Packing.getHalf(from, block + 208);
        for (int g = 0; g < 16; g++) {
          Packing.putFloat(to, scale + 4L * g, d * Packing.getByte(from, block + 192 + g));
        }
      }
    }
  }
}
