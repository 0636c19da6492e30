package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;

/**
 * 256 four-bit numbers in eight groups of 32, each group with a six-bit scale {@code s} and a
 * six-bit minimum {@code m}: {@code x = (d · s) · q − dmin · m}.
 *
 * <pre>
 *  byte  0      2      4             16                                  144
 *        +------+------+-------------+------------------------------------+
 *        | d    | dmin | p0 … p11    | b0  b1  …                     b127 |   d, dmin: halves
 *        +------+------+-------------+------------------------------------+
 *
 *  bit            7 6   5 4 3 2 1 0
 *  p0 … p3      [ S S | s  s  s  s  s  s ]    s[j],                   SS: bits 4, 5 of s[j + 4]
 *  p4 … p7      [ M M | m  m  m  m  m  m ]    m[j],                   MM: bits 4, 5 of m[j + 4]
 *  p8 … p11     [ m m m m | s s s s ]         low bits 0 … 3 of m[j + 4] and of s[j + 4]
 *
 *  b[32k + i]: low nibble q of element i of group 2k, high nibble that of group 2k + 1
 * </pre>
 *
 * <p>Encoding: each group's scale and minimum come from {@link ScaleSearch#affine}, weighted by the
 * elements' magnitudes; both are rounded to six bits under {@code d} and {@code dmin}, and the
 * elements are rounded again against these.
 */
public final class Q4_K extends BlockFormat {
  /** The format. */
  public static final Q4_K INSTANCE = new Q4_K();

  private static final int SIZE = 256;
  private static final int GROUPS = 8;
  private static final int GROUP_SIZE = 32;
  private static final int MINIMUM = 2;
  private static final int PACKED = 4;
  private static final int QUANTS = 16;

  private Q4_K() {
    super("Q4_K", 12, SIZE, QUANTS + SIZE / 2);
  }

  @Override
  void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at);
    float dmin = getHalf(block, at + MINIMUM);
    for (int group = 0; group < GROUPS; group++) {
      float scale = d * scale(block, at, group);
      float minimum = dmin * minimum(block, at, group);
      long bytes = at + pairAt(group);
      int shift = group % 2 * 4;
      for (int i = 0; i < GROUP_SIZE; i++) {
        int q = (getUnsigned(block, bytes + i) >> shift) & 0xF;
        y[to + group * GROUP_SIZE + i] = scale * q - minimum;
      }
    }
  }

  @Override
  void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    var fits = new ScaleSearch.Affine[GROUPS];
    byte[][] quants = new byte[GROUPS][GROUP_SIZE];
    float largestScale = 0;
    float largestMinimum = 0;
    for (int group = 0; group < GROUPS; group++) {
      int first = from + group * GROUP_SIZE;
      fits[group] = ScaleSearch.affine(x, first, weights(x, first), 15, quants[group]);
      largestScale = Math.max(largestScale, fits[group].scale());
      largestMinimum = Math.max(largestMinimum, fits[group].minimum());
    }
    float d = putHalf(block, at, largestScale / 63);
    float dmin = putHalf(block, at + MINIMUM, largestMinimum / 63);
    int[] scales = new int[GROUPS];
    int[] minimums = new int[GROUPS];
    float inverseScale = largestScale > 0 ? 63 / largestScale : 0;
    float inverseMinimum = largestMinimum > 0 ? 63 / largestMinimum : 0;
    for (int group = 0; group < GROUPS; group++) {
      scales[group] = Math.clamp((int) Math.rint(inverseScale * fits[group].scale()), 0, 63);
      minimums[group] = Math.clamp((int) Math.rint(inverseMinimum * fits[group].minimum()), 0, 63);
      float scale = d * scales[group];
      float minimum = dmin * minimums[group];
      if (scale != 0) {
        for (int i = 0; i < GROUP_SIZE; i++) {
          float steps = (x[from + group * GROUP_SIZE + i] + minimum) / scale;
          quants[group][i] = (byte) Math.clamp((int) Math.rint(steps), 0, 15);
        }
      }
    }
    pack(block, at, scales, minimums);
    for (int group = 0; group < GROUPS; group += 2) {
      byte[] low = quants[group];
      byte[] high = quants[group + 1];
      for (int i = 0; i < GROUP_SIZE; i++) {
        putByte(block, at + pairAt(group) + i, low[i] | (high[i] << 4));
      }
    }
  }

  /** Errors of large elements count more; none counts nothing. */
  private static float[] weights(float[] x, int from) {
    float squares = 0;
    for (int i = 0; i < GROUP_SIZE; i++) {
      squares += x[from + i] * x[from + i];
    }
    float mean = (float) Math.sqrt(squares / GROUP_SIZE);
    float[] weights = new float[GROUP_SIZE];
    for (int i = 0; i < GROUP_SIZE; i++) {
      weights[i] = mean + Math.abs(x[from + i]);
    }
    return weights;
  }

  /** Where the quants of a group and of its neighbour start, two to a byte. */
  private static int pairAt(int group) {
    return QUANTS + group / 2 * GROUP_SIZE;
  }

  private static int scale(MemorySegment block, long at, int group) {
    long p = at + PACKED;
    return group < 4
        ? getByte(block, p + group) & 63
        : (getByte(block, p + 4 + group) & 15) | ((getUnsigned(block, p + group - 4) >> 6) << 4);
  }

  private static int minimum(MemorySegment block, long at, int group) {
    long p = at + PACKED;
    return group < 4
        ? getByte(block, p + 4 + group) & 63
        : (getUnsigned(block, p + 4 + group) >> 4) | ((getUnsigned(block, p + group) >> 6) << 4);
  }

  private static void pack(MemorySegment block, long at, int[] scales, int[] minimums) {
    long p = at + PACKED;
    for (int j = 0; j < 4; j++) {
      int s = scales[j + 4];
      int m = minimums[j + 4];
      putByte(block, p + j, scales[j] | ((s >> 4) << 6));
      putByte(block, p + 4 + j, minimums[j] | ((m >> 4) << 6));
      putByte(block, p + 8 + j, (s & 15) | ((m & 15) << 4));
    }
  }
}
