package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;

/**
 * 32 four-bit numbers under one scale: {@code x = d · (q − 8)}.
 *
 * <pre>
 *  byte  0      2                            18
 *        +------+-----------------------------+
 *        | d    | b0  b1  …               b15 |   d: half
 *        +------+-----------------------------+
 *                 bi: low nibble q[i], high nibble q[i + 16]
 * </pre>
 *
 * <p>Encoding: the element of largest magnitude becomes −8, which fixes the sign of {@code d};
 * elements of the other sign that reach 8 are cut to 7. With importances, {@code d} comes from
 * {@link ScaleSearch#symmetric}.
 */
public final class Q4_0 extends BlockFormat {
  /** The format. */
  public static final Q4_0 INSTANCE = new Q4_0();

  private static final int SIZE = 32;
  private static final int HALF_SIZE = SIZE / 2;
  private static final int QUANTS = 2;

  private Q4_0() {
    super("Q4_0", 2, SIZE, QUANTS + HALF_SIZE);
  }

  @Override
  void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at);
    for (int i = 0; i < HALF_SIZE; i++) {
      int pair = getUnsigned(block, at + QUANTS + i);
      y[to + i] = d * ((pair & 0xF) - 8);
      y[to + HALF_SIZE + i] = d * ((pair >> 4) - 8);
    }
  }

  @Override
  void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    float d = extreme(x, from, SIZE) / -8;
    float inverse = d == 0 ? 0 : 1 / d;
    putHalf(block, at, d);
    for (int i = 0; i < HALF_SIZE; i++) {
      int low = quantize(x[from + i] * inverse);
      int high = quantize(x[from + HALF_SIZE + i] * inverse);
      putByte(block, at + QUANTS + i, low | (high << 4));
    }
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
    putHalf(block, at, ScaleSearch.symmetric(x, from, weights, 0, 8, quants));
    for (int i = 0; i < HALF_SIZE; i++) {
      putByte(block, at + QUANTS + i, quants[i] | (quants[HALF_SIZE + i] << 4));
    }
  }

  /** Nearest of −8 … 7, plus 8; the sum is not negative, so that cutting its fraction rounds. */
  private static int quantize(float scaled) {
    return Math.clamp((int) (scaled + 8.5f), 0, 15);
  }
}
