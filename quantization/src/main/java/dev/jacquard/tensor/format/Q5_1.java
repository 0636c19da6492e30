package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;

/**
 * 32 five-bit numbers under a scale and a minimum: {@code x = d · q + m}. Encoding is that of
 * {@link AffineFormat}.
 *
 * <pre>
 *  byte  0      2      4          8                            24
 *        +------+------+----------+-----------------------------+
 *        | d    | m    | h        | b0  b1  …               b15 |   d, m: halves; h: integer
 *        +------+------+----------+-----------------------------+
 *                        bit i of h: bit 4 of q[i]
 *                                   bi: low nibble: bits 0 … 3 of q[i], high: those of q[i + 16]
 * </pre>
 */
public final class Q5_1 extends AffineFormat {
  /** The format. */
  public static final Q5_1 INSTANCE = new Q5_1();

  private Q5_1() {
    super("Q5_1", 7, FIVE_BITS_BYTES, 31);
  }

  @Override
  int getQuant(MemorySegment block, long at, int i) {
    return getFiveBits(block, at + QUANTS, i);
  }

  @Override
  void putQuants(byte[] quants, MemorySegment block, long at) {
    putFiveBits(quants, block, at + QUANTS);
  }
}
