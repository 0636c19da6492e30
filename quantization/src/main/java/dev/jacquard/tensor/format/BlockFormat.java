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

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Bytes of 32 five-bit numbers: an integer of fifth bits, then 16 pairs of nibbles. */
  static final int FIVE_BITS_BYTES = 20;

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

  /**
   * The same with an importance for each column, where that changes anything.
   *
   * @param importance of the columns, the block's from {@code column}
   * @param meanSquare of the values of the whole row
   */
  void encodeBlock(
      float[] x,
      int from,
      float[] importance,
      int column,
      float meanSquare,
      MemorySegment block,
      long at) {
    encodeBlock(x, from, block, at);
  }

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
    requireStorable(source, sourceOffset, count);
    for (int b = 0; b < blocks; b++) {
      encodeBlock(source, sourceOffset + b * blockSize, target, offset + (long) b * blockBytes);
    }
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if an element is NaN or infinite, or too large for a
   *     half-precision scale
   */
  @Override
  public final void encodeRow(
      float[] source, int sourceOffset, float[] importance, MemorySegment target, long offset) {
    int columns = importance.length;
    int blocks = blocks(columns);
    requireStorable(source, sourceOffset, columns);
    float meanSquare = sumOfSquares(source, sourceOffset, columns) / columns;
    for (int b = 0; b < blocks; b++) {
      int column = b * blockSize;
      encodeBlock(
          source,
          sourceOffset + column,
          importance,
          column,
          meanSquare,
          target,
          offset + (long) b * blockBytes);
    }
  }

  private void requireStorable(float[] x, int from, int count) {
    // As integers, magnitudes have the order of their values: a loop that is compiled to vectors.
    int largest = 0;
    for (int i = from; i < from + count; i++) {
      largest = Math.max(largest, Float.floatToRawIntBits(x[i]) & Integer.MAX_VALUE);
    }
    if (Float.intBitsToFloat(largest) <= LARGEST) {
      return;
    }
    for (int i = from; i < from + count; i++) {
      if (!(Math.abs(x[i]) <= LARGEST)) {
        throw new IllegalArgumentException(
            "element " + i + " is " + x[i] + ", which " + name + " cannot store");
      }
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

  /**
   * Number {@code i} of 32 five-bit ones as Q5_0 and Q5_1 store them: bit i of the integer at
   * {@code at} is the fifth; byte j after it holds the lower four of j and, in its upper nibble, of
   * j + 16.
   */
  static int getFiveBits(MemorySegment block, long at, int i) {
    int pair = getUnsigned(block, at + Integer.BYTES + i % 16);
    int fifth = (block.get(INT, at) >>> i) & 1;
    return ((pair >> (i / 16 * 4)) & 0xF) | (fifth << 4);
  }

  /** Stores 32 five-bit numbers, as {@link #getFiveBits} finds them. */
  static void putFiveBits(byte[] quants, MemorySegment block, long at) {
    int fifths = 0;
    for (int i = 0; i < 32; i++) {
      fifths |= (quants[i] >> 4) << i;
    }
    block.set(INT, at, fifths);
    for (int i = 0; i < 16; i++) {
      putByte(block, at + Integer.BYTES + i, (quants[i] & 0xF) | ((quants[i + 16] & 0xF) << 4));
    }
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

  /** In single precision and in order, as ggml adds. */
  static float sumOfSquares(float[] x, int from, int count) {
    float sum = 0;
    for (int i = from; i < from + count; i++) {
      sum += x[i] * x[i];
    }
    return sum;
  }

  /**
   * What the error of each of {@code weights.length} elements counts: its column's importance, and
   * more where the element is large: {@code importance · √(square + x²)}.
   */
  static void weigh(
      float[] x, int from, float[] importance, int column, float square, float[] weights) {
    for (int i = 0; i < weights.length; i++) {
      float value = x[from + i];
      weights[i] = importance[column + i] * (float) Math.sqrt(square + value * value);
    }
  }
}
