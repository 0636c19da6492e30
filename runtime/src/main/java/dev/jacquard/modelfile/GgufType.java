package dev.jacquard.modelfile;

import java.util.Arrays;
import java.util.Optional;

/** Types of metadata values in GGUF files. */
public enum GgufType {
  /** Unsigned, 8 bits. */
  UINT8(0, 1),
  /** Signed, 8 bits. */
  INT8(1, 1),
  /** Unsigned, 16 bits. */
  UINT16(2, 2),
  /** Signed, 16 bits. */
  INT16(3, 2),
  /** Unsigned, 32 bits. */
  UINT32(4, 4),
  /** Signed, 32 bits. */
  INT32(5, 4),
  /** IEEE 754 single precision. */
  FLOAT32(6, 4),
  /** One byte; zero is false. */
  BOOL(7, 1),
  /** A length of 64 bits and as many bytes of UTF-8. */
  STRING(8, 8),
  /** An element type of 32 bits, a count of 64 bits, and the elements. */
  ARRAY(9, 12),
  /** Unsigned, 64 bits. */
  UINT64(10, 8),
  /** Signed, 64 bits. */
  INT64(11, 8),
  /** IEEE 754 double precision. */
  FLOAT64(12, 8);

  private final int number;
  private final int minimumBytes;

  GgufType(int number, int minimumBytes) {
    this.number = number;
    this.minimumBytes = minimumBytes;
  }

  /** Bytes that a value takes at least; exactly, unless it is a string or an array. */
  int minimumBytes() {
    return minimumBytes;
  }

  /** The type with this number, if there is one. */
  static Optional<GgufType> byNumber(int number) {
    return Arrays.stream(values()).filter(type -> type.number == number).findFirst();
  }

  /** The number in files. */
  int number() {
    return number;
  }
}
