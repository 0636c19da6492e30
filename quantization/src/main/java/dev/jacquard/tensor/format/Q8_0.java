package dev.jacquard.tensor.format;

import java.lang.foreign.MemorySegment;

/**
 * 32 signed bytes under one scale: {@code x = d · q}.
 *
 * <pre>
 *  byte  0      2                            34
 *        +------+-----------------------------+
 *        | d    | q0  q1  q2  …           q31 |   d: half; q: signed bytes
 *        +------+-----------------------------+
 * </pre>
 *
 * <p>Encoding: {@code d} is the largest magnitude / 127, so q stays within ±127; elements round to
 * nearest, halves away from zero, against the unrounded {@code d}.
 */
public final class Q8_0 extends BlockFormat {
  /** The format. */
  public static final Q8_0 INSTANCE = new Q8_0();

  private static final int SIZE = 32;
  private static final int QUANTS = 2;

  private Q8_0() {
    super("Q8_0", 8, SIZE, QUANTS + SIZE);
  }

  @Override
  void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at);
    for (int i = 0; i < SIZE; i++) {
      y[to + i] = d * getByte(block, at + QUANTS + i);
    }
  }

  @Override
  void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    float d = Math.abs(extreme(x, from, SIZE)) / 127;
    float inverse = d == 0 ? 0 : 1 / d;
    putHalf(block, at, d);
    for (int i = 0; i < SIZE; i++) {
      float scaled = x[from + i] * inverse;
      // In double, where adding a half is exact.
      putByte(block, at + QUANTS + i, (int) (scaled + Math.copySign(0.5, scaled)));
    }
  }
}
