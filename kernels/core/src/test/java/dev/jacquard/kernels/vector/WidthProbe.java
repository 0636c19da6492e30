package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.util.Arrays;

/** Prints the bits of products, a line per format: run in JVMs of different vector widths. */
final class WidthProbe {
  private WidthProbe() {}

  /** Prints {@link #report()}. */
  public static void main(String[] arguments) {
    System.out.print(report());
  }

  static String report() {
    StringBuilder lines = new StringBuilder();
    for (ElementFormat format : ElementFormats.all()) {
      MatrixCase c = MatrixCase.of(format, 77, 3 * Math.max(64, format.blockSize()), 13, 5);
      lines
          .append(format.name())
          .append(' ')
          .append(Arrays.hashCode(c.multiply(1)))
          .append(' ')
          .append(Arrays.hashCode(c.multiply(13)))
          .append('\n');
    }
    return lines.toString();
  }
}
