package dev.jacquard.tensor.format;

import dev.jacquard.tensor.format.ScaleSearch.Affine;
import dev.jacquard.tensor.format.ScaleSearch.Grids;
import java.lang.foreign.MemorySegment;

/**
 * What Q4_K and Q5_K have in common: 256 numbers in eight groups of 32, each group with a six-bit
 * scale {@code s} and a six-bit minimum {@code m}: {@code x = (d · s) · q − dmin · m}. They differ
 * in how the quants {@code q} are stored.
 *
 * <pre>
 *  byte  0      2      4             16
 *        +------+------+-------------+----------
 *        | d    | dmin | p0 … p11    | quants …      d, dmin: halves
 *        +------+------+-------------+----------
 *
 *  bit            7 6   5 4 3 2 1 0
 *  p0 … p3      [ S S | s  s  s  s  s  s ]    s[j],                   SS: bits 4, 5 of s[j + 4]
 *  p4 … p7      [ M M | m  m  m  m  m  m ]    m[j],                   MM: bits 4, 5 of m[j + 4]
 *  p8 … p11     [ m m m m | s s s s ]         low bits 0 … 3 of m[j + 4] and of s[j + 4]
 * </pre>
 *
 * <p>Encoding: each group's scale and minimum come from {@link ScaleSearch#affine}; both are
 * rounded to six bits under {@code d} and {@code dmin}, and the elements are rounded again against
 * these. Errors are weighted by the elements' magnitudes, with importances by these too; then
 * {@code d} and {@code dmin} come from {@link ScaleSearch#positive} instead of the largest of their
 * groups.
 */
abstract class AffineKFormat extends BlockFormat {
  static final int SIZE = 256;
  static final int GROUPS = 8;
  static final int GROUP_SIZE = 32;
  static final int QUANTS = 16;
  private static final int MINIMUM = 2;
  private static final int PACKED = 4;
  private static final int MOST_SCALE = 63;

  private final Grids grids;
  private final Grids weightedGrids;

  AffineKFormat(String name, int ggmlType, int quantBytes, Grids grids) {
    super(name, ggmlType, SIZE, QUANTS + quantBytes);
    this.grids = grids;
    weightedGrids = Grids.fine(grids.most());
  }

  /** Expands the quants of the block at {@code at}. */
  abstract void getQuants(MemorySegment block, long at, byte[] quants);

  /** Stores the quants of the block at {@code at}. */
  abstract void putQuants(byte[] quants, MemorySegment block, long at);

  /** Where the nibbles of groups {@code 2 · pair} and {@code 2 · pair + 1} are, two to a byte. */
  static long pairAt(long nibbles, int pair) {
    return nibbles + (long) pair * GROUP_SIZE;
  }

  @Override
  final void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at);
    float dmin = getHalf(block, at + MINIMUM);
    byte[] quants = new byte[SIZE];
    getQuants(block, at, quants);
    for (int group = 0; group < GROUPS; group++) {
      float scale = d * scale(block, at, group);
      float minimum = dmin * minimum(block, at, group);
      for (int i = group * GROUP_SIZE; i < (group + 1) * GROUP_SIZE; i++) {
        y[to + i] = scale * quants[i] - minimum;
      }
    }
  }

  @Override
  final void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    float[] scales = new float[GROUPS];
    float[] minimums = new float[GROUPS];
    byte[] quants = new byte[SIZE];
    float[] weights = new float[GROUP_SIZE];
    byte[] candidate = new byte[GROUP_SIZE];
    float largestScale = 0;
    float largestMinimum = 0;
    for (int group = 0; group < GROUPS; group++) {
      int at32 = group * GROUP_SIZE;
      magnitudes(x, from + at32, weights);
      Affine fit =
          ScaleSearch.affine(x, from + at32, GROUP_SIZE, weights, grids, quants, at32, candidate);
      scales[group] = fit.scale();
      minimums[group] = fit.minimum();
      largestScale = Math.max(largestScale, fit.scale());
      largestMinimum = Math.max(largestMinimum, fit.minimum());
    }
    int[] s = sixBits(scales, largestScale);
    int[] m = sixBits(minimums, largestMinimum);
    finish(
        x, from, s, m, largestScale / MOST_SCALE, largestMinimum / MOST_SCALE, quants, block, at);
  }

  @Override
  final void encodeBlock(
      float[] x,
      int from,
      float[] importance,
      int column,
      float meanSquare,
      MemorySegment block,
      long at) {
    float[] scales = new float[GROUPS];
    float[] minimums = new float[GROUPS];
    byte[] quants = new byte[SIZE];
    float[] weights = new float[GROUP_SIZE];
    float[] weightSums = new float[GROUPS];
    byte[] candidate = new byte[GROUP_SIZE];
    float squares = 2 * sumOfSquares(x, from, SIZE) / SIZE;
    for (int group = 0; group < GROUPS; group++) {
      int at32 = group * GROUP_SIZE;
      weigh(x, from + at32, importance, column + at32, squares, weights);
      for (float weight : weights) {
        weightSums[group] += weight;
      }
      Affine fit =
          ScaleSearch.affine(
              x, from + at32, GROUP_SIZE, weights, weightedGrids, quants, at32, candidate);
      scales[group] = fit.scale();
      minimums[group] = fit.minimum();
    }
    int[] s = new int[GROUPS];
    int[] m = new int[GROUPS];
    float d = ScaleSearch.positive(scales, weightSums, MOST_SCALE, s);
    float dmin = ScaleSearch.positive(minimums, weightSums, MOST_SCALE, m);
    finish(x, from, s, m, d, dmin, quants, block, at);
  }

  /** Errors of large elements count more; none counts nothing. */
  private static void magnitudes(float[] x, int from, float[] weights) {
    float mean = (float) Math.sqrt(sumOfSquares(x, from, GROUP_SIZE) / GROUP_SIZE);
    for (int i = 0; i < GROUP_SIZE; i++) {
      weights[i] = mean + Math.abs(x[from + i]);
    }
  }

  private static int[] sixBits(float[] values, float largest) {
    float inverse = largest > 0 ? MOST_SCALE / largest : 0;
    int[] rounded = new int[GROUPS];
    for (int group = 0; group < GROUPS; group++) {
      rounded[group] = Math.clamp((int) Math.rint(inverse * values[group]), 0, MOST_SCALE);
    }
    return rounded;
  }

  /** Stores scales and minimums, and the elements as rounded against what was stored. */
  private void finish(
      float[] x,
      int from,
      int[] scales,
      int[] minimums,
      float d,
      float dmin,
      byte[] quants,
      MemorySegment block,
      long at) {
    float storedD = putHalf(block, at, d);
    float storedDmin = putHalf(block, at + MINIMUM, dmin);
    for (int group = 0; group < GROUPS; group++) {
      float scale = storedD * scales[group];
      float minimum = storedDmin * minimums[group];
      if (scale != 0) {
        for (int i = group * GROUP_SIZE; i < (group + 1) * GROUP_SIZE; i++) {
          float steps = (x[from + i] + minimum) / scale;
          quants[i] = (byte) Math.clamp((int) Math.rint(steps), 0, grids.most());
        }
      }
    }
    pack(block, at, scales, minimums);
    putQuants(quants, block, at);
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
