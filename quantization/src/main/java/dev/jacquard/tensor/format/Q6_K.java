package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;

/**
 * 256 six-bit numbers in sixteen groups of 16, each group with a signed eight-bit scale {@code s}:
 * {@code x = (d · s) · (q − 32)}.
 *
 * <pre>
 *  byte  0                     128            192             208    210
 *        +---------------------+--------------+---------------+------+
 *        | l0 …           l127 | h0 …     h63 | s0 …      s15 | d    |   d: half
 *        +---------------------+--------------+---------------+------+
 *
 *  each half n = 0, 1 of the block holds elements 128n … 128n + 127 as four rows of 32:
 *
 *    element  128n + i   l[64n + i]       bits 0 … 3   h[32n + i]  bits 0, 1
 *             +  32 + i  l[64n + 32 + i]  bits 0 … 3   h[32n + i]  bits 2, 3
 *             +  64 + i  l[64n + i]       bits 4 … 7   h[32n + i]  bits 4, 5
 *             +  96 + i  l[64n + 32 + i]  bits 4 … 7   h[32n + i]  bits 6, 7
 *                        = bits 0 … 3 of q             = bits 4, 5 of q
 * </pre>
 *
 * <p>Encoding: each group's scale comes from {@link ScaleSearch#symmetric}, where errors are
 * weighted by the elements' squares or by their columns' importances; the scale of largest
 * magnitude becomes −128 under {@code d}, and the elements are rounded again against the rounded
 * scales.
 */
public final class Q6_K extends BlockFormat {
  /** The format. */
  public static final Q6_K INSTANCE = new Q6_K();

  private static final int SIZE = 256;
  private static final int GROUPS = 16;
  private static final int GROUP_SIZE = 16;
  private static final int HIGH_BITS = 128;
  private static final int SCALES = 192;
  private static final int SCALE = 208;

  private Q6_K() {
    super("Q6_K", 14, SIZE, SCALE + 2);
  }

  @Override
  void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at + SCALE);
    for (int row = 0; row < SIZE / 32; row++) {
      long low = at + lowByte(row);
      long high = at + highByte(row);
      for (int i = 0; i < 32; i++) {
        int q =
            ((getUnsigned(block, low + i) >> lowShift(row)) & 15)
                | (((getUnsigned(block, high + i) >> highShift(row)) & 3) << 4);
        int element = row * 32 + i;
        float scale = d * getByte(block, at + SCALES + element / GROUP_SIZE);
        y[to + element] = scale * (q - 32);
      }
    }
  }

  @Override
  void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    float[] squares = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      squares[i] = x[from + i] * x[from + i];
    }
    encodeBlock(x, from, squares, 0, block, at);
  }

  @Override
  void encodeBlock(
      float[] x,
      int from,
      float[] importance,
      int column,
      float meanSquare,
      MemorySegment block,
      long at) {
    encodeBlock(x, from, importance, column, block, at);
  }

  private void encodeBlock(
      float[] x, int from, float[] weights, int weightsAt, MemorySegment block, long at) {
    byte[][] quants = new byte[GROUPS][GROUP_SIZE];
    float[] scales = new float[GROUPS];
    for (int group = 0; group < GROUPS; group++) {
      int first = group * GROUP_SIZE;
      scales[group] =
          ScaleSearch.symmetric(x, from + first, weights, weightsAt + first, 32, quants[group]);
    }
    block.asSlice(at, blockBytes()).fill((byte) 0);
    float largest = extreme(scales, 0, GROUPS);
    if (Math.abs(largest) < ScaleSearch.NOTHING) {
      return;
    }
    float inverse = -128 / largest;
    float d = putHalf(block, at + SCALE, 1 / inverse);
    for (int group = 0; group < GROUPS; group++) {
      int s = Math.min(127, (int) Math.rint(inverse * scales[group]));
      putByte(block, at + SCALES + group, s);
      float scale = d * s;
      for (int i = 0; i < GROUP_SIZE; i++) {
        int element = group * GROUP_SIZE + i;
        int q =
            scale == 0
                ? quants[group][i]
                : Math.clamp((int) Math.rint(x[from + element] / scale), -32, 31) + 32;
        int row = element / 32;
        long low = at + lowByte(row) + element % 32;
        long high = at + highByte(row) + element % 32;
        putByte(block, low, getByte(block, low) | ((q & 15) << lowShift(row)));
        putByte(block, high, getByte(block, high) | ((q >> 4) << highShift(row)));
      }
    }
  }

  private static int lowByte(int row) {
    return row / 4 * 64 + row % 2 * 32;
  }

  private static int lowShift(int row) {
    return row % 4 / 2 * 4;
  }

  private static int highByte(int row) {
    return HIGH_BITS + row / 4 * 32;
  }

  private static int highShift(int row) {
    return row % 4 * 2;
  }
}
