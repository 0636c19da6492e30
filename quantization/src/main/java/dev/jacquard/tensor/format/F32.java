package dev.jacquard.tensor.format;

import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * IEEE 754 single precision.
 *
 * <pre>
 *  byte  0        4
 *        +--------+
 *        | float  |   little-endian
 *        +--------+
 * </pre>
 */
public final class F32 implements ElementFormat {
  /** The format. */
  public static final F32 INSTANCE = new F32();

  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private F32() {}

  @Override
  public String name() {
    return "F32";
  }

  @Override
  public int ggmlType() {
    return 0;
  }

  @Override
  public int blockSize() {
    return 1;
  }

  @Override
  public int blockBytes() {
    return Float.BYTES;
  }

  @Override
  public void decode(
      MemorySegment source, long offset, float[] target, int targetOffset, int count) {
    MemorySegment.copy(source, FLOAT, offset, target, targetOffset, count);
  }

  @Override
  public void encode(
      float[] source, int sourceOffset, int count, MemorySegment target, long offset) {
    MemorySegment.copy(source, sourceOffset, target, FLOAT, offset, count);
  }
}
