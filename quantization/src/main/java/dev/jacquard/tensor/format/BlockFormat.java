package dev.jacquard.tensor.format;

import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * What formats have in common that store several elements under half-precision scales: the walk
 * over whole blocks and the reading and writing of their fields, which are little-endian and not
 * aligned.
 *
 * <p>A scale that is NaN or infinite decodes to what IEEE arithmetic makes of it: NaN or infinity
 * in every element of the block. Encoding refuses what a block cannot hold: a non-finite element,
 * or elements whose scale leaves the range of half precision.
 */
abstract class BlockFormat implements ElementFormat {
  private static final ValueLayout.OfShort HALF =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** No block's scales reach as far; the search for scales must not overflow. NaN is not below. */
  private static final float LARGEST = 1e11f;

  private final String name;
  private final int ggmlType;
  private final int blockSize;
  private final int blockBytes;

  BlockFormat(String name, int ggmlType, int blockSize, int blockBytes) {
    this.name = name;
    this.ggmlType = ggmlType;
    this.blockSize = blockSize;
    this.blockBytes = blockBytes;
  }

  /** Expands the block at byte {@code at} into {@code y[to …]}. */
  abstract void decodeBlock(MemorySegment block, long at, float[] y, int to);

  /** Writes the finite values {@code x[from …]} as the block at byte {@code at}. */
  abstract void encodeBlock(float[] x, int from, MemorySegment block, long at);

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final int ggmlType() {
    return ggmlType;
  }

  @Override
  public final int blockSize() {
    return blockSize;
  }

  @Override
  public final int blockBytes() {
    return blockBytes;
  }

  @Override
  public final void decode(
      MemorySegment source, long offset, float[] target, int targetOffset, int count) {
    int blocks = blocks(count);
    for (int b = 0; b < blocks; b++) {
      decodeBlock(source, offset + (long) b * blockBytes, target, targetOffset + b * blockSize);
    }
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if an element is NaN or infinite, or too large for a
   *     half-precision scale
   */
  @Override
  public final void encode(
      float[] source, int sourceOffset, int count, MemorySegment target, long offset) {
    int blocks = blocks(count);
    for (int i = sourceOffset; i < sourceOffset + count; i++) {
      if (!(Math.abs(source[i]) <= LARGEST)) {
        throw new IllegalArgumentException(
            "element " + i + " is " + source[i] + ", which " + name + " cannot store");
      }
    }
    for (int b = 0; b < blocks; b++) {
      encodeBlock(source, sourceOffset + b * blockSize, target, offset + (long) b * blockBytes);
    }
  }

  private int blocks(int count) {
    return Math.toIntExact(bytes(count) / blockBytes);
  }

  static float getHalf(MemorySegment block, long at) {
    return Float.float16ToFloat(block.get(HALF, at));
  }

  /** Stores a scale rounded to half precision, to nearest even, and returns what was stored. */
  final float putHalf(MemorySegment block, long at, float scale) {
    short bits = Float.floatToFloat16(scale);
    float stored = Float.float16ToFloat(bits);
    if (!Float.isFinite(stored)) {
      throw new IllegalArgumentException(
          "elements are too large for "
              + name
              + ": their scale "
              + scale
              + " exceeds half precision's 65504");
    }
    block.set(HALF, at, bits);
    return stored;
  }

  static int getUnsigned(MemorySegment block, long at) {
    return Byte.toUnsignedInt(getByte(block, at));
  }

  static byte getByte(MemorySegment block, long at) {
    return block.get(ValueLayout.JAVA_BYTE, at);
  }

  static void putByte(MemorySegment block, long at, int value) {
    block.set(ValueLayout.JAVA_BYTE, at, (byte) value);
  }

  /** The first element of largest magnitude among {@code x[from … from + count)}, with its sign. */
  static float extreme(float[] x, int from, int count) {
    float extreme = 0;
    for (int i = from; i < from + count; i++) {
      if (Math.abs(x[i]) > Math.abs(extreme)) {
        extreme = x[i];
      }
    }
    return extreme;
  }
}
