package dev.jacquard.tensor.format;

import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The upper half of a single-precision number ("bfloat16"). Decoding is exact. Encoding rounds to
 * nearest even, subnormals included; what rounds past the largest number becomes infinite, NaN
 * becomes a quiet NaN of the same sign.
 *
 * <pre>
 *  byte  0        1        2
 *        +--------+--------+
 *        | efffffff seeeeeee   little-endian: sign, 8 exponent bits, 7 fraction bits
 *        +--------+--------+
 * </pre>
 */
public final class BF16 implements ElementFormat {
  /** The format. */
  public static final BF16 INSTANCE = new BF16();

  private static final ValueLayout.OfShort BITS =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private BF16() {}

  @Override
  public String name() {
    return "BF16";
  }

  @Override
  public int ggmlType() {
    return 30;
  }

  @Override
  public int blockSize() {
    return 1;
  }

  @Override
  public int blockBytes() {
    return Short.BYTES;
  }

  @Override
  public void decode(
      MemorySegment source, long offset, float[] target, int targetOffset, int count) {
    for (int i = 0; i < count; i++) {
      target[targetOffset + i] =
          Float.intBitsToFloat(source.get(BITS, offset + (long) i * Short.BYTES) << 16);
    }
  }

  @Override
  public void encode(
      float[] source, int sourceOffset, int count, MemorySegment target, long offset) {
    for (int i = 0; i < count; i++) {
      target.set(BITS, offset + (long) i * Short.BYTES, round(source[sourceOffset + i]));
    }
  }

  private static short round(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      int quiet = 1 << 6;
      return (short) ((bits >>> 16) | quiet);
    }
    // Half a unit of the last kept place, less the least bit on ties to an even result.
    int lastKept = (bits >>> 16) & 1;
    return (short) ((bits + 0x7FFF + lastKept) >>> 16);
  }
}
