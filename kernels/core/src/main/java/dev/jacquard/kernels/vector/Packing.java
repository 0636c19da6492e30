package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Reading files and writing packed tiles, little-endian at any address. */
final class Packing {
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Packing() {}

  static int getInt(MemorySegment data, long offset) {
    return data.get(INT, offset);
  }

  static void putInt(MemorySegment data, long offset, int value) {
    data.set(INT, offset, value);
  }

  static int getByte(MemorySegment data, long offset) {
    return data.get(ValueLayout.JAVA_BYTE, offset);
  }

  static void putByte(MemorySegment data, long offset, int value) {
    data.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
  }

  static void putFloat(MemorySegment data, long offset, float value) {
    data.set(FLOAT, offset, value);
  }

  static void copyHalf(MemorySegment from, long fromOffset, MemorySegment to, long toOffset) {
    to.set(SHORT, toOffset, from.get(SHORT, fromOffset));
  }

  static float getHalf(MemorySegment data, long offset) {
    return Float.float16ToFloat(data.get(SHORT, offset));
  }

  /** Rows of a tile that exist. */
  static int rows(Tensor source, int tile) {
    return Math.min(PackedMatrix.TILE, source.rows() - tile * PackedMatrix.TILE);
  }

  /**
   * Reads 16 bytes whose low nibbles are columns 0 … 15 and whose high nibbles are columns 16 … 31,
   * and writes four words of eight columns each, {@code stride} bytes apart.
   */
  static void splitNibbles(
      MemorySegment from, long fromOffset, MemorySegment to, long toOffset, long stride) {
    int a = getInt(from, fromOffset);
    int b = getInt(from, fromOffset + 4);
    int c = getInt(from, fromOffset + 8);
    int d = getInt(from, fromOffset + 12);
    putInt(to, toOffset, lowNibbles(a, b));
    putInt(to, toOffset + stride, lowNibbles(c, d));
    putInt(to, toOffset + 2 * stride, lowNibbles(a >>> 4, b >>> 4));
    putInt(to, toOffset + 3 * stride, lowNibbles(c >>> 4, d >>> 4));
  }

  /** The low nibbles of eight bytes, b0 … b3 in {@code a} and b4 … b7 in {@code b}: 4 bits each. */
  static int lowNibbles(int a, int b) {
    return squeeze(a & 0x0f0f0f0f) | (squeeze(b & 0x0f0f0f0f) << 16);
  }

  /** Moves bit u of the low byte to bit 4u, for u = 0 … 7. */
  static int spreadBits(int bits) {
    int spread = bits & 0xff;
    spread = (spread | (spread << 12)) & 0x000f000f;
    spread = (spread | (spread << 6)) & 0x03030303;
    return (spread | (spread << 3)) & 0x11111111;
  }

  /** Moves the low nibble of each of four bytes, all below 16, together. */
  private static int squeeze(int bytes) {
    int pairs = (bytes | (bytes >>> 4)) & 0x00ff00ff;
    return (pairs | (pairs >>> 8)) & 0xffff;
  }
}
