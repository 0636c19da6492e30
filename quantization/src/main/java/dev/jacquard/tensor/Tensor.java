package dev.jacquard.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A view of stored numbers; it owns nothing. Rows are contiguous and follow one another without
 * gaps.
 *
 * @param format how the numbers are stored
 * @param shape sizes, fastest-varying first; {@code columns} is a multiple of the block size
 * @param data exactly {@code format.bytes(shape.elements())} bytes, alive as long as its owner says
 */
public record Tensor(ElementFormat format, Shape shape, MemorySegment data) {
  /** Checks that sizes agree. */
  public Tensor {
    if (shape.columns() % format.blockSize() != 0) {
      throw new IllegalArgumentException(
          "rows of " + shape.columns() + " elements are no whole " + format.name() + " blocks");
    }
    long expected = format.bytes(shape.elements());
    if (data.byteSize() != expected) {
      throw new IllegalArgumentException(
          format.name() + " " + shape + " needs " + expected + " bytes, not " + data.byteSize());
    }
  }

  /** Number of rows. */
  public int rows() {
    return Math.toIntExact(shape.rows());
  }

  /** Elements of a row. */
  public int columns() {
    return Math.toIntExact(shape.columns());
  }

  /** Bytes of a row. */
  public long rowBytes() {
    return format.bytes(shape.columns());
  }

  /**
   * Expands row {@code row} into {@code target[targetOffset …]}.
   *
   * @throws IndexOutOfBoundsException if there is no such row or the target is too short
   */
  public void decodeRow(long row, float[] target, int targetOffset) {
    format.decode(data, row * rowBytes(), target, targetOffset, columns());
  }
}
