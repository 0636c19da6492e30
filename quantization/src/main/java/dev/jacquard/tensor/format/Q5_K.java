package dev.jacquard.tensor.format;

import dev.jacquard.tensor.format.ScaleSearch.Grids;
import java.lang.foreign.MemorySegment;

/**
 * 256 five-bit numbers in eight groups of 32, each group with a six-bit scale {@code s} and a
 * six-bit minimum {@code m}: {@code x = (d · s) · q − dmin · m}. Scales and encoding are those of
 * {@link AffineKFormat}.
 *
 * <pre>
 *  byte  0      2      4             16           48                                  176
 *        +------+------+-------------+------------+------------------------------------+
 *        | d    | dmin | p0 … p11    | h0 …   h31 | b0  b1  …                     b127 |
 *        +------+------+-------------+------------+------------------------------------+
 *          halves        scales and minimums
 *
 *  b[32k + i]: low nibble bits 0 … 3 of q of element i of group 2k, high nibble those of group 2k + 1
 *  h[i]:       bit g is bit 4 of q of element i of group g
 * </pre>
 */
public final class Q5_K extends AffineKFormat {
  /** The format. */
  public static final Q5_K INSTANCE = new Q5_K();

  private static final int LOW_BITS = QUANTS + GROUP_SIZE;

  private Q5_K() {
    super("Q5_K", 13, GROUP_SIZE + SIZE / 2, new Grids(31, -0.5f, 0.1f, 15));
  }

  @Override
  void getQuants(MemorySegment block, long at, byte[] quants) {
    for (int group = 0; group < GROUPS; group++) {
      long low = pairAt(at + LOW_BITS, group / 2);
      for (int i = 0; i < GROUP_SIZE; i++) {
        int nibble = (getUnsigned(block, low + i) >> (group % 2 * 4)) & 0xF;
        int fifth = (getUnsigned(block, at + QUANTS + i) >> group) & 1;
        quants[group * GROUP_SIZE + i] = (byte) (nibble | (fifth << 4));
      }
    }
  }

  @Override
  void putQuants(byte[] quants, MemorySegment block, long at) {
    for (int i = 0; i < GROUP_SIZE; i++) {
      int fifths = 0;
      for (int group = 0; group < GROUPS; group++) {
        fifths |= quants[group * GROUP_SIZE + i] >> 4 << group;
      }
      putByte(block, at + QUANTS + i, fifths);
    }
    for (int pair = 0; pair < GROUPS / 2; pair++) {
      long bytes = pairAt(at + LOW_BITS, pair);
      int low = 2 * pair * GROUP_SIZE;
      for (int i = 0; i < GROUP_SIZE; i++) {
        int q = quants[low + i] & 0xF;
        putByte(block, bytes + i, q | ((quants[low + GROUP_SIZE + i] & 0xF) << 4));
      }
    }
  }
}
