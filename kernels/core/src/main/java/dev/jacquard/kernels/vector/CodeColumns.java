package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;

/**
 * Columns in codes of four or eight bits. A neuron's row in a strip is a line of 64 bytes: sixteen
 * words of eight codes (a strip of 128 outputs) or of four (64 outputs); code n of word l belongs
 * to output 16·n + l. The scales of a chunk stand before its rows:
 *
 * <pre>
 *  Q4_0, Q5_0, Q8_0:  for each group of 32 neurons a half for each output
 *  Q4_K:              halves d and dmin of each output, then for each group of 32 neurons a byte
 *                     for each output, of the scale; then of the minimum
 *  Q6_K:              a half d of each output, then for each group of 16 neurons a byte each
 *  bytes:             sixteen words for 64 outputs, byte n of word l: output 16·n + l
 * </pre>
 *
 * <p>Decoding: a code c that stays at its place in the word is the float c·2^p, so that {@code
 * fma(c·2^p, 2^−p·scale, offset)} is the weight: {@code offset} is −minimum, rounded once as {@link
 * Q4_KMatrix} does, or −bias·scale, and then nothing is rounded.
 */
final class CodeColumns extends DownColumns {
  private static final int ROW = 64;
  private static final int WORDS = 16;

  private final BlockCodes codes;
  private final int strip;
  private final MemorySegment data;
  private final long stripBytes;

  /** Where the chunks of a strip begin. */
  private final long[] chunkStarts;

  /** For each neuron of the list that was gathered its row, counted as if all stood there. */
  private final int @Nullable [] places;

  /** Factors that take back where a code stands in its word, for each output of a strip. */
  private final float[] factors;

  private CodeColumns(
      BlockCodes codes,
      int width,
      int neurons,
      MemorySegment data,
      long[] chunkStarts,
      long stripBytes,
      int @Nullable [] places) {
    super(width, neurons);
    this.codes = codes;
    this.data = data;
    this.chunkStarts = chunkStarts;
    this.stripBytes = stripBytes;
    this.places = places;
    strip = stripWidth(codes);
    factors = new float[strip];
    for (int o = 0; o < strip; o++) {
      factors[o] = place(codes, o / WORDS);
    }
  }

  private static float place(BlockCodes codes, int n) {
    // The upper half of a word of nibbles, and the last byte of a word of bytes, are shifted down.
    return codes.bits() == 4 ? Math.scalb(1f, -4 * (n % 4)) : n == 3 ? 1 : Math.scalb(1f, -8 * n);
  }

  private static int stripWidth(BlockCodes codes) {
    return ROW * 8 / codes.bits();
  }

  private static long scaleBytes(BlockCodes codes, int count) {
    int groups = count / codes.group();
    int perOutput =
        switch (codes) {
          case Q4_0, Q5_0, Q8_0 -> 2 * groups;
          case Q4_K -> 4 + 2 * groups;
          case Q6_K -> 2 + groups;
        };
    return (long) perOutput * stripWidth(codes);
  }

  private static long chunkBytes(BlockCodes codes, int count) {
    return scaleBytes(codes, count) + (long) count * ROW;
  }

  private static long stripBytes(BlockCodes codes, int neurons) {
    int rest = neurons % CHUNK;
    return neurons / CHUNK * chunkBytes(codes, CHUNK) + (rest == 0 ? 0 : chunkBytes(codes, rest));
  }

  /** Bytes that a matrix takes. */
  static long bytes(BlockCodes codes, int width, int neurons) {
    int strips = (width + stripWidth(codes) - 1) / stripWidth(codes);
    return strips * stripBytes(codes, neurons);
  }

  @Override
  int stripWidth() {
    return strip;
  }

  @Override
  long bytes() {
    return strips() * stripBytes;
  }

  @Override
  long bytes(int[] list, int count) {
    long bytes = 0;
    for (int from = 0; from < count; ) {
      int chunk = list[from] / CHUNK;
      int to = end(list, from, count, chunk);
      bytes += scaleBytes(codes, size(chunk)) + (long) (to - from) * ROW;
      from = to;
    }
    return strips() * bytes;
  }

  @Override
  void add(int strip, int chunk, int[] list, float[] values, int from, int to, Scratch scratch) {
    long at = strip * stripBytes + chunkStarts[chunk];
    int count = size(chunk);
    int groups = count / codes.group();
    int scales = groups * this.strip;
    float[] decoded = scratch.rows(3 * scales + 2 * this.strip);
    decodeScales(at, groups, decoded, scratch);
    long rows = at + scaleBytes(codes, count);
    int shift = Integer.numberOfTrailingZeros(codes.group());
    int base = chunk * CHUNK;
    int[] rowOf = places == null ? list : places;
    for (int lane = 0; lane < WORDS; lane += FLOATS) {
      if (codes.bits() == 4) {
        addNibbles(
            data, rows, lane, list, rowOf, values, from, to, base, decoded, scales, scratch.sums);
      } else {
        addBytes(
            data,
            rows,
            lane,
            list,
            rowOf,
            values,
            from,
            to,
            base,
            shift,
            decoded,
            scales,
            scratch.sums);
      }
    }
  }

  /**
   * Writes, for each group and output, scales to {@code to[0 …]}, with the factors of the codes'
   * places, and behind them offsets.
   */
  private void decodeScales(long at, int groups, float[] to, Scratch scratch) {
    int scales = groups * strip;
    int raw = 2 * scales;
    if (!codes.nested()) {
      scratch.halvesToFloats(data, at, scales, 1, to, raw);
      scaleGroups(to, raw, scales, factors, strip, -codes.bias());
      return;
    }
    scratch.halvesToFloats(data, at, strip, 1, to, raw);
    long bytes = at + 2L * strip;
    int second = raw + strip;
    if (codes == BlockCodes.Q4_K) {
      scratch.halvesToFloats(data, bytes, strip, -1, to, second);
      bytes += 2L * strip;
      multiplyBytes(data, bytes + scales, groups, strip, to, second, scales);
    } else {
      for (int o = 0; o < strip; o++) {
        to[second + o] = to[raw + o] * -codes.bias();
      }
      multiplyBytes(data, bytes, groups, strip, to, second, scales);
    }
    for (int o = 0; o < strip; o++) {
      to[raw + o] *= factors[o];
    }
    multiplyBytes(data, bytes, groups, strip, to, raw, 0);
  }

  /** {@code to[i] = to[raw + i]·factors[i % strip]}, {@code to[count + i] = to[raw + i]·bias}. */
  private static void scaleGroups(
      float[] to, int raw, int count, float[] factors, int strip, float bias) {
    for (int g = 0; g < count; g += strip) {
      for (int o = 0; o < strip; o += FLOATS) {
        FloatVector d = FloatVector.fromArray(FLOAT, to, raw + g + o);
        d.mul(FloatVector.fromArray(FLOAT, factors, o)).intoArray(to, g + o);
        d.mul(bias).intoArray(to, count + g + o);
      }
    }
  }

  /** Signed bytes of groups times a float for each output: {@code to[target + g·strip + o]}. */
  private static void multiplyBytes(
      MemorySegment data, long bytes, int groups, int strip, float[] to, int d, int target) {
    for (int g = 0; g < groups; g++) {
      for (int o = 0; o < strip; o += ROW) {
        for (int lane = 0; lane < WORDS; lane += FLOATS) {
          long at = bytes + (long) g * strip + o + lane * 4L;
          IntVector words = IntVector.fromMemorySegment(INT, data, at, ORDER);
          int output = o + lane;
          for (int n = 0; n < 4; n++) {
            IntVector one =
                words.lanewise(VectorOperators.LSHL, 24 - 8 * n).lanewise(VectorOperators.ASHR, 24);
            ((FloatVector) one.castShape(FLOAT, 0))
                .mul(FloatVector.fromArray(FLOAT, to, d + output + n * WORDS))
                .intoArray(to, target + g * strip + output + n * WORDS);
          }
        }
      }
    }
  }

  private static void addNibbles(
      MemorySegment data,
      long rows,
      int lane,
      int[] list,
      int[] rowOf,
      float[] values,
      int from,
      int to,
      int base,
      float[] scales,
      int offsets,
      float[] sums) {
    FloatVector sum0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sum1 = FloatVector.fromArray(FLOAT, sums, lane + 16);
    FloatVector sum2 = FloatVector.fromArray(FLOAT, sums, lane + 32);
    FloatVector sum3 = FloatVector.fromArray(FLOAT, sums, lane + 48);
    FloatVector sum4 = FloatVector.fromArray(FLOAT, sums, lane + 64);
    FloatVector sum5 = FloatVector.fromArray(FLOAT, sums, lane + 80);
    FloatVector sum6 = FloatVector.fromArray(FLOAT, sums, lane + 96);
    FloatVector sum7 = FloatVector.fromArray(FLOAT, sums, lane + 112);
    for (int j = from; j < to; j++) {
      int i = list[j] - base;
      int s = (i >>> 5) * 128 + lane;
      int o = offsets + s;
      FloatVector x = FloatVector.broadcast(FLOAT, values[j]);
      long row = rows + (rowOf[j] - base) * 64L;
      IntVector w = IntVector.fromMemorySegment(INT, data, row + lane * 4L, ORDER);
      IntVector h = w.lanewise(VectorOperators.LSHR, 16);
      sum0 =
          ((FloatVector) w.and(0xf).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, scales, s), FloatVector.fromArray(FLOAT, scales, o))
              .fma(x, sum0);
      sum1 =
          ((FloatVector) w.and(0xf0).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 16),
                  FloatVector.fromArray(FLOAT, scales, o + 16))
              .fma(x, sum1);
      sum2 =
          ((FloatVector) w.and(0xf00).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 32),
                  FloatVector.fromArray(FLOAT, scales, o + 32))
              .fma(x, sum2);
      sum3 =
          ((FloatVector) w.and(0xf000).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 48),
                  FloatVector.fromArray(FLOAT, scales, o + 48))
              .fma(x, sum3);
      sum4 =
          ((FloatVector) h.and(0xf).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 64),
                  FloatVector.fromArray(FLOAT, scales, o + 64))
              .fma(x, sum4);
      sum5 =
          ((FloatVector) h.and(0xf0).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 80),
                  FloatVector.fromArray(FLOAT, scales, o + 80))
              .fma(x, sum5);
      sum6 =
          ((FloatVector) h.and(0xf00).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 96),
                  FloatVector.fromArray(FLOAT, scales, o + 96))
              .fma(x, sum6);
      sum7 =
          ((FloatVector) h.and(0xf000).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 112),
                  FloatVector.fromArray(FLOAT, scales, o + 112))
              .fma(x, sum7);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + 16);
    sum2.intoArray(sums, lane + 32);
    sum3.intoArray(sums, lane + 48);
    sum4.intoArray(sums, lane + 64);
    sum5.intoArray(sums, lane + 80);
    sum6.intoArray(sums, lane + 96);
    sum7.intoArray(sums, lane + 112);
  }

  private static void addBytes(
      MemorySegment data,
      long rows,
      int lane,
      int[] list,
      int[] rowOf,
      float[] values,
      int from,
      int to,
      int base,
      int groupShift,
      float[] scales,
      int offsets,
      float[] sums) {
    FloatVector sum0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sum1 = FloatVector.fromArray(FLOAT, sums, lane + 16);
    FloatVector sum2 = FloatVector.fromArray(FLOAT, sums, lane + 32);
    FloatVector sum3 = FloatVector.fromArray(FLOAT, sums, lane + 48);
    for (int j = from; j < to; j++) {
      int i = list[j] - base;
      int s = (i >>> groupShift) * 64 + lane;
      int o = offsets + s;
      FloatVector x = FloatVector.broadcast(FLOAT, values[j]);
      long row = rows + (rowOf[j] - base) * 64L;
      IntVector w = IntVector.fromMemorySegment(INT, data, row + lane * 4L, ORDER);
      sum0 =
          ((FloatVector) w.and(0xff).castShape(FLOAT, 0))
              .fma(FloatVector.fromArray(FLOAT, scales, s), FloatVector.fromArray(FLOAT, scales, o))
              .fma(x, sum0);
      sum1 =
          ((FloatVector) w.and(0xff00).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 16),
                  FloatVector.fromArray(FLOAT, scales, o + 16))
              .fma(x, sum1);
      sum2 =
          ((FloatVector) w.and(0xff0000).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 32),
                  FloatVector.fromArray(FLOAT, scales, o + 32))
              .fma(x, sum2);
      sum3 =
          ((FloatVector) w.lanewise(VectorOperators.LSHR, 24).castShape(FLOAT, 0))
              .fma(
                  FloatVector.fromArray(FLOAT, scales, s + 48),
                  FloatVector.fromArray(FLOAT, scales, o + 48))
              .fma(x, sum3);
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + 16);
    sum2.intoArray(sums, lane + 32);
    sum3.intoArray(sums, lane + 48);
  }

  /** A matrix over packed strips. */
  static CodeColumns view(BlockCodes codes, int width, int neurons, MemorySegment data) {
    long[] starts = new long[(neurons + CHUNK - 1) / CHUNK];
    for (int chunk = 0; chunk < starts.length; chunk++) {
      starts[chunk] = chunk * chunkBytes(codes, CHUNK);
    }
    return new CodeColumns(codes, width, neurons, data, starts, stripBytes(codes, neurons), null);
  }

  @Override
  DownColumns gathered(int[] list, SegmentAllocator memory) {
    long[] starts = new long[chunkStarts.length];
    int[] rowOf = new int[list.length];
    long end = 0;
    for (int from = 0; from < list.length; ) {
      int chunk = list[from] / CHUNK;
      int to = end(list, from, list.length, chunk);
      starts[chunk] = end;
      end += scaleBytes(codes, size(chunk)) + (long) (to - from) * ROW;
      for (int j = from; j < to; j++) {
        rowOf[j] = chunk * CHUNK + j - from;
      }
      from = to;
    }
    MemorySegment copy = memory.allocate(strips() * end, ROW);
    for (int s = 0; s < strips(); s++) {
      for (int from = 0; from < list.length; ) {
        int chunk = list[from] / CHUNK;
        int to = end(list, from, list.length, chunk);
        long scales = scaleBytes(codes, size(chunk));
        long source = s * stripBytes + chunkStarts[chunk];
        long target = s * end + starts[chunk];
        MemorySegment.copy(data, source, copy, target, scales);
        for (int j = from; j < to; j++) {
          long row = source + scales + (long) (list[j] - chunk * CHUNK) * ROW;
          MemorySegment.copy(data, row, copy, target + scales + (long) (j - from) * ROW, ROW);
        }
        from = to;
      }
    }
    return new CodeColumns(codes, width(), neurons(), copy, starts, end, rowOf);
  }

  /** Writes a strip of {@code down} to {@code target[offset …]}, which holds zeros. */
  static void pack(Tensor down, BlockCodes codes, int strip, MemorySegment target) {
    int neurons = down.columns();
    int first = strip * stripWidth(codes);
    int outputs = Math.min(stripWidth(codes), down.rows() - first);
    long offset = strip * stripBytes(codes, neurons);
    int perWord = 32 / codes.bits();
    byte[] unpacked = new byte[perWord * CHUNK];
    for (int begin = 0; begin < neurons; begin += CHUNK) {
      int count = Math.min(CHUNK, neurons - begin);
      long rows = offset + scaleBytes(codes, count);
      for (int l = 0; l < Math.min(WORDS, outputs); l++) {
        for (int n = 0; n < perWord; n++) {
          int output = n * WORDS + l;
          if (output < outputs) {
            packScales(down, first + output, codes, begin, count, target, offset, output);
            readCodes(down, first + output, codes, begin, count, unpacked, n * CHUNK);
          } else {
            Arrays.fill(unpacked, n * CHUNK, (n + 1) * CHUNK, (byte) 0);
          }
        }
        for (int i = 0; i < count; i++) {
          int word = 0;
          for (int n = 0; n < perWord; n++) {
            word |= (unpacked[n * CHUNK + i] & 0xff) << (codes.bits() * n);
          }
          Packing.putInt(target, rows + (long) i * ROW + l * 4L, word);
        }
      }
      offset += chunkBytes(codes, count);
    }
  }

  private static long block(Tensor down, int row, BlockCodes codes, int column) {
    return row * down.rowBytes() + (long) column / codes.columns() * codes.blockBytes();
  }

  private static void readCodes(
      Tensor down, int row, BlockCodes codes, int begin, int count, byte[] unpacked, int to) {
    for (int k = 0; k < count; k += codes.columns()) {
      codes.read(down.data(), block(down, row, codes, begin + k), unpacked, to + k);
    }
  }

  private static void packScales(
      Tensor down,
      int row,
      BlockCodes codes,
      int begin,
      int count,
      MemorySegment target,
      long at,
      int output) {
    MemorySegment from = down.data();
    long strip = stripWidth(codes);
    long block = block(down, row, codes, begin);
    // Bytes of 64 outputs are sixteen words of four.
    long place = output - output % ROW + output % WORDS * 4L + output % ROW / WORDS;
    switch (codes) {
      case Q4_0, Q5_0, Q8_0 -> {
        for (int g = 0; g < count / codes.group(); g++) {
          long to = at + 2 * (g * strip + output);
          Packing.copyHalf(from, block + (long) g * codes.blockBytes(), target, to);
        }
      }
      case Q4_K -> {
        Packing.copyHalf(from, block, target, at + 2L * output);
        Packing.copyHalf(from, block + 2, target, at + 2 * (strip + output));
        long scales = at + 4 * strip + place;
        int[] packed = new int[4];
        Q4_KMatrix.unpackScales(from, block + 4, packed);
        for (int g = 0; g < 8; g++) {
          int shift = g % 4 * 8;
          Packing.putByte(target, scales + g * strip, packed[g / 4] >>> shift);
          Packing.putByte(target, scales + (8 + g) * strip, packed[2 + g / 4] >>> shift);
        }
      }
      case Q6_K -> {
        Packing.copyHalf(from, block + 208, target, at + 2L * output);
        for (int g = 0; g < 16; g++) {
          int scale = Packing.getByte(from, block + 192 + g);
          Packing.putByte(target, at + 2 * strip + g * strip + place, scale);
        }
      }
    }
  }
}
