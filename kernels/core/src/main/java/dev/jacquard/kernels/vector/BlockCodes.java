package dev.jacquard.kernels.vector;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Formats that store small whole numbers: a weight is {@code scale·(code − bias)}, or {@code
 * scale·code − minimum}, with scale and minimum of a group of columns. Reads the codes one by one,
 * for layouts that order them anew; what the bits of a block mean is drawn in each format.
 */
enum BlockCodes {
  Q4_0(4, 32, 32, 8),
  Q5_0(8, 32, 32, 16),
  Q8_0(8, 32, 32, 128),
  Q4_K(4, 256, 32, 0),
  Q6_K(8, 256, 16, 32);

  private final int bits;
  private final int columns;
  private final int group;
  private final int bias;

  BlockCodes(int bits, int columns, int group, int bias) {
    this.bits = bits;
    this.columns = columns;
    this.group = group;
    this.bias = bias;
  }

  /** The codes of a format, or null if it has none. */
  static @Nullable BlockCodes of(ElementFormat format) {
    for (BlockCodes codes : values()) {
      if (codes.name().equals(format.name())) {
        return codes;
      }
    }
    return null;
  }

  /** Bits that a code is kept in here: 4 or 8, no less than it has. */
  int bits() {
    return bits;
  }

  /** Columns of a stored block. */
  int columns() {
    return columns;
  }

  /** Columns that share a scale. */
  int group() {
    return group;
  }

  /** The code of the weight 0, where there is no minimum. */
  int bias() {
    return bias;
  }

  /** Whether scales and minimums are bytes times halves of the whole block. */
  boolean nested() {
    return columns > group;
  }

  /** Bytes of a stored block. */
  int blockBytes() {
    return switch (this) {
      case Q4_0 -> 18;
      case Q5_0 -> 22;
      case Q8_0 -> 34;
      case Q4_K -> 144;
      case Q6_K -> 210;
    };
  }

  /** Writes the codes of the block at {@code at}, not negative, to {@code codes[to …]}. */
  void read(MemorySegment data, long at, byte[] codes, int to) {
    switch (this) {
      case Q4_0 -> nibbles(data, at + 2, 16, codes, to);
      case Q5_0 -> {
        nibbles(data, at + 6, 16, codes, to);
        int fifth = Packing.getInt(data, at + 2);
        for (int k = 0; k < 32; k++) {
          codes[to + k] |= (byte) ((fifth >>> k & 1) << 4);
        }
      }
      case Q8_0 -> {
        for (int k = 0; k < 32; k++) {
          codes[to + k] = (byte) (data.get(JAVA_BYTE, at + 2 + k) + 128);
        }
      }
      case Q4_K -> {
        for (int pair = 0; pair < 4; pair++) {
          nibbles(data, at + 16 + pair * 32L, 32, codes, to + pair * 64);
        }
      }
      case Q6_K -> {
        for (int k = 0; k < 256; k++) {
          int half = k / 128;
          int row = k / 32 % 4;
          int low = data.get(JAVA_BYTE, at + half * 64L + row % 2 * 32L + k % 32) >>> (row / 2 * 4);
          int high = data.get(JAVA_BYTE, at + 128 + half * 32L + k % 32) >>> (row * 2);
          codes[to + k] = (byte) ((low & 0xf) | ((high & 3) << 4));
        }
      }
    }
  }

  /** Bytes whose low nibbles are the first {@code count} columns, whose high ones the next. */
  private static void nibbles(MemorySegment data, long at, int count, byte[] codes, int to) {
    for (int k = 0; k < count; k++) {
      int pair = data.get(JAVA_BYTE, at + k);
      codes[to + k] = (byte) (pair & 0xf);
      codes[to + count + k] = (byte) (pair >>> 4 & 0xf);
    }
  }
}
