package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

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
 * elements of the other sign that reach 16 are cut to 15.
 */
public final class Q5_0 extends BlockFormat {
  /** The format. */
  public static final Q5_0 INSTANCE = new Q5_0();

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final int SIZE = 32;
  private static final int HALF_SIZE = SIZE / 2;
  private static final int HIGH_BITS = 2;
  private static final int QUANTS = 6;

  private Q5_0() {
    super("Q5_0", 6, SIZE, QUANTS + HALF_SIZE);
  }

  @Override
  void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at);
    int fifth = block.get(INT, at + HIGH_BITS);
    for (int i = 0; i < HALF_SIZE; i++) {
      int pair = getUnsigned(block, at + QUANTS + i);
      y[to + i] = d * (((pair & 0xF) | (((fifth >>> i) & 1) << 4)) - 16);
      y[to + HALF_SIZE + i] = d * (((pair >> 4) | (((fifth >>> (i + HALF_SIZE)) & 1) << 4)) - 16);
    }
  }

  @Override
  void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    float d = extreme(x, from, SIZE) / -16;
    float inverse = d == 0 ? 0 : 1 / d;
    putHalf(block, at, d);
    int fifth = 0;
    for (int i = 0; i < HALF_SIZE; i++) {
      int low = quantize(x[from + i] * inverse);
      int high = quantize(x[from + HALF_SIZE + i] * inverse);
      fifth |= ((low >> 4) << i) | ((high >> 4) << (i + HALF_SIZE));
      putByte(block, at + QUANTS + i, (low & 0xF) | ((high & 0xF) << 4));
    }
    block.set(INT, at + HIGH_BITS, fifth);
  }

  /** Nearest of −16 … 15, plus 16; the sum is not negative, so that cutting its fraction rounds. */
  private static int quantize(float scaled) {
    return Math.clamp((int) (scaled + 16.5f), 0, 31);
  }
}
