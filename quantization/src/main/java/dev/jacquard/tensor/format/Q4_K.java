package dev.jacquard.tensor.format;

import dev.jacquard.tensor.format.ScaleSearch.Grids;
import java.lang.foreign.MemorySegment;

/**
 * 256 four-bit numbers in eight groups of 32, each group with a six-bit scale {@code s} and a
 * six-bit minimum {@code m}: {@code x = (d · s) · q − dmin · m}. Scales and encoding are those of
 * {@link AffineKFormat}.
 *
 * <pre>
 *  byte  0      2      4             16                                  144
 *        +------+------+-------------+------------------------------------+
 *        | d    | dmin | p0 … p11    | b0  b1  …                     b127 |   d, dmin: halves
 *        +------+------+-------------+------------------------------------+
 *                        scales and minimums
 *
 *  b[32k + i]: low nibble q of element i of group 2k, high nibble that of group 2k + 1
 * </pre>
 */
public final class Q4_K extends AffineKFormat {
  /** The format. */
  public static final Q4_K INSTANCE = new Q4_K();

  private Q4_K() {
    super("Q4_K", 12, SIZE / 2, new Grids(15, -1f, 0.1f, 20));
  }

  @Override
  void getQuants(MemorySegment block, long at, byte[] quants) {
    for (int pair = 0; pair < GROUPS / 2; pair++) {
      long bytes = pairAt(at + QUANTS, pair);
      int low = 2 * pair * GROUP_SIZE;
      for (int i = 0; i < GROUP_SIZE; i++) {
        int b = getUnsigned(block, bytes + i);
        quants[low + i] = (byte) (b & 0xF);
        quants[low + GROUP_SIZE + i] = (byte) (b >> 4);
      }
    }
  }

  @Override
  void putQuants(byte[] quants, MemorySegment block, long at) {
    for (int pair = 0; pair < GROUPS / 2; pair++) {
      long bytes = pairAt(at + QUANTS, pair);
      int low = 2 * pair * GROUP_SIZE;
      for (int i = 0; i < GROUP_SIZE; i++) {
        putByte(block, bytes + i, quants[low + i] | (quants[low + GROUP_SIZE + i] << 4));
      }
    }
  }
}
