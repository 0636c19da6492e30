package dev.jacquard.tensor.format;

import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * IEEE 754 half precision. Decoding is exact, subnormals, infinities and NaN included. Encoding
 * rounds to nearest even; magnitudes of 65520 and more become infinite, NaN stays NaN.
 *
 * <pre>
 *  byte  0        1        2
 *        +--------+--------+
 *        | ffffffff seeeeeff   little-endian: sign, 5 exponent bits, 10 fraction bits
 *        +--------+--------+
 * </pre>
 */
public final class F16 implements ElementFormat {
  /** The format. */
  public static final F16 INSTANCE = new F16();

  private static final ValueLayout.OfShort HALF =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private F16() {}

  @Override
  public String name() {
    return "F16";
  }

  @Override
  public int ggmlType() {
    return 1;
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
          Float.float16ToFloat(source.get(HALF, offset + (long) i * Short.BYTES));
    }
  }

  @Override
  public void encode(
      float[] source, int sourceOffset, int count, MemorySegment target, long offset) {
    for (int i = 0; i < count; i++) {
      target.set(
          HALF, offset + (long) i * Short.BYTES, Float.floatToFloat16(source[sourceOffset + i]));
    }
  }
}
