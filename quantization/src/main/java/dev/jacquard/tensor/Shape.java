package dev.jacquard.tensor;

import java.util.Arrays;
import java.util.List;

/**
 * Sizes of a tensor, fastest-varying first, as GGUF writes them: a matrix of {@code rows} rows with
 * {@code columns} contiguous elements each is {@code [columns, rows]}.
 *
 * @param sizes one to four positive sizes whose product fits a {@code long}
 */
public record Shape(List<Long> sizes) {
  /** Checks and copies. */
  public Shape {
    sizes = List.copyOf(sizes);
    if (sizes.isEmpty() || sizes.size() > 4) {
      throw new IllegalArgumentException("a shape has 1 to 4 sizes, not " + sizes.size());
    }
    long product = 1;
    for (long size : sizes) {
      if (size <= 0) {
        throw new IllegalArgumentException("sizes are positive, not " + sizes);
      }
      product = Math.multiplyExact(product, size);
    }
  }

  /** A shape of the given sizes, fastest-varying first. */
  public static Shape of(long... sizes) {
    return new Shape(Arrays.stream(sizes).boxed().toList());
  }

  /** Elements in a row. */
  public long columns() {
    return sizes.getFirst();
  }

  /** Rows: the product of all sizes but the first. */
  public long rows() {
    return elements() / columns();
  }

  /** All elements. */
  public long elements() {
    long product = 1;
    for (long size : sizes) {
      product *= size;
    }
    return product;
  }

  /** As {@code 2048 x 32000}, fastest-varying first. */
  @Override
  public String toString() {
    return String.join(" x ", sizes.stream().map(String::valueOf).toList());
  }
}
