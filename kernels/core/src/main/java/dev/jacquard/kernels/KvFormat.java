package dev.jacquard.kernels;

/** How cached keys and values are rounded. */
public enum KvFormat {
  /** IEEE half precision: 2 bytes a value. */
  F16(2),
  /** IEEE single precision: 4 bytes a value. */
  F32(4);

  private final int bytes;

  KvFormat(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one value. */
  public int bytes() {
    return bytes;
  }
}
