package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;

/**
 * 32 four-bit numbers under a scale and a minimum: {@code x = d · q + m}. Encoding is that of
 * {@link AffineFormat}.
 *
 * <pre>
 *  byte  0      2      4                            20
 *        +------+------+-----------------------------+
 *        | d    | m    | b0  b1  …               b15 |   d, m: halves
 *        +------+------+-----------------------------+
 *                        bi: low nibble q[i], high nibble q[i + 16]
 * </pre>
 */
public final class Q4_1 extends AffineFormat {
  /** The format. */
  public static final Q4_1 INSTANCE = new Q4_1();

  private static final int HALF_SIZE = SIZE / 2;

  private Q4_1() {
    super("Q4_1", 3, HALF_SIZE, 15);
  }

  @Override
  int getQuant(MemorySegment block, long at, int i) {
    return (getUnsigned(block, at + QUANTS + i % HALF_SIZE) >> (i / HALF_SIZE * 4)) & 0xF;
  }

  @Override
  void putQuants(byte[] quants, MemorySegment block, long at) {
    for (int i = 0; i < HALF_SIZE; i++) {
      putByte(block, at + QUANTS + i, quants[i] | (quants[HALF_SIZE + i] << 4));
    }
  }
}
