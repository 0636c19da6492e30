package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;

/**
 * 32 five-bit numbers under one scale: {@code x = d · (q − 16)}.
 *
 * <pre>
 *  byte  0      2          6                            22
 *        +------+----------+-----------------------------+
 *        | d    | h        | b0  b1  …               b15 |   d: half; h: 32-bit integer
 *        +------+----------+-----------------------------+
 *                 bit i of h: bit 4 of q[i]
 *                            bi: low nibble: bits 0 … 3 of q[i], high nibble: those of q[i + 16]
 * </pre>
 *
 * <p>Encoding: the element of largest magnitude becomes −16, which fixes the sign of {@code d};
 * elements of the other sign that reach 16 are cut to 15. With importances, {@code d} comes from
 * {@link ScaleSearch#symmetric}.
 */
public final class Q5_0 extends BlockFormat {
  /** The format. */
  public static final Q5_0 INSTANCE = new Q5_0();

  private static final int SIZE = 32;
  private static final int HIGH_BITS = 2;

  private Q5_0() {
    super("Q5_0", 6, SIZE, HIGH_BITS + FIVE_BITS_BYTES);
  }

  @Override
  void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at);
    for (int i = 0; i < SIZE; i++) {
      y[to + i] = d * (getFiveBits(block, at + HIGH_BITS, i) - 16);
    }
  }

  @Override
  void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    float d = extreme(x, from, SIZE) / -16;
    float inverse = d == 0 ? 0 : 1 / d;
    putHalf(block, at, d);
    byte[] quants = new byte[SIZE];
    for (int i = 0; i < SIZE; i++) {
      quants[i] = quantize(x[from + i] * inverse);
    }
    putFiveBits(quants, block, at + HIGH_BITS);
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
    float[] weights = new float[SIZE];
    byte[] quants = new byte[SIZE];
    weigh(x, from, importance, column, meanSquare, weights);
    putHalf(block, at, ScaleSearch.symmetric(x, from, weights, 0, 16, quants));
    putFiveBits(quants, block, at + HIGH_BITS);
  }

  /** Nearest of −16 … 15, plus 16; the sum is not negative, so that cutting its fraction rounds. */
  private static byte quantize(float scaled) {
    return (byte) Math.clamp((int) (scaled + 16.5f), 0, 31);
  }
}
