package dev.jacquard.tensor;

import java.lang.foreign.MemorySegment;

/**
 * How numbers are stored: blocks of {@link #blockSize()} consecutive elements in {@link
 * #blockBytes()} bytes. Implementations are stateless and safe for any thread; they are the plain
 * scalar truth that every kernel is compared with.
 *
 * <p>Source of the layouts: the GGUF specification and ggml's type numbers.
 */
public interface ElementFormat {
  /** The field's name of the format, as {@code Q4_0}. */
  String name();

  /** The number of this format in GGUF files. */
  int ggmlType();

  /** Elements in a block; 1 for plain numbers. */
  int blockSize();

  /** Bytes in a block. */
  int blockBytes();

  /**
   * Expands whole blocks.
   *
   * @param source memory that holds the blocks
   * @param offset byte offset of the first block
   * @param target receives {@code count} values from {@code targetOffset}
   * @param count number of elements, a multiple of {@link #blockSize()}
   */
  void decode(MemorySegment source, long offset, float[] target, int targetOffset, int count);

  /**
   * Writes whole blocks, rounding as ggml's reference quantiser does (without an importance
   * matrix).
   *
   * @param source holds {@code count} values from {@code sourceOffset}
   * @param count number of elements, a multiple of {@link #blockSize()}
   * @param target memory that receives the blocks from byte {@code offset}
   */
  void encode(float[] source, int sourceOffset, int count, MemorySegment target, long offset);

  /**
   * Writes one row of a matrix. Where a format has a choice of scales, the error of a column counts
   * by its importance, the mean square of what it is multiplied with; rounding is then that of ggml
   * with an importance matrix. Plain numbers and Q8_0 have no choice.
   *
   * @param source holds the row's values from {@code sourceOffset}
   * @param importance of each column, not negative; as many as the row has, which are whole blocks
   * @param target memory that receives the blocks from byte {@code offset}
   */
  default void encodeRow(
      float[] source, int sourceOffset, float[] importance, MemorySegment target, long offset) {
    encode(source, sourceOffset, importance.length, target, offset);
  }

  /**
   * Bytes that {@code elements} elements take.
   *
   * @throws IllegalArgumentException if they are no whole number of blocks
   */
  default long bytes(long elements) {
    if (elements < 0 || elements % blockSize() != 0) {
      throw new IllegalArgumentException(
          elements + " elements are no whole number of " + name() + " blocks of " + blockSize());
    }
    return Math.multiplyExact(elements / blockSize(), (long) blockBytes());
  }
}
