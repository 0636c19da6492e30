package dev.jacquard.modelfile;

/** Types of metadata values, in the order of their numbers in GGUF files. */
public enum GgufType {
  /** Unsigned, 8 bits. */
  UINT8(1),
  /** Signed, 8 bits. */
  INT8(1),
  /** Unsigned, 16 bits. */
  UINT16(2),
  /** Signed, 16 bits. */
  INT16(2),
  /** Unsigned, 32 bits. */
  UINT32(4),
  /** Signed, 32 bits. */
  INT32(4),
  /** IEEE 754 single precision. */
  FLOAT32(4),
  /** One byte; zero is false. */
  BOOL(1),
  /** A length of 64 bits and as many bytes of UTF-8. */
  STRING(8),
  /** An element type of 32 bits, a count of 64 bits, and the elements. */
  ARRAY(12),
  /** Unsigned, 64 bits. */
  UINT64(8),
  /** Signed, 64 bits. */
  INT64(8),
  /** IEEE 754 double precision. */
  FLOAT64(8);

  private final int minimumBytes;

  GgufType(int minimumBytes) {
    this.minimumBytes = minimumBytes;
  }

  /** Bytes that a value takes at least; exactly, unless it is a string or an array. */
  int minimumBytes() {
    return minimumBytes;
  }

  /** The number in files. */
  int number() {
    return ordinal();
  }
}
