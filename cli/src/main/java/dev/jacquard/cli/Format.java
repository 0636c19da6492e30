package dev.jacquard.cli;

import dev.jacquard.session.GenerationStatistics;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;
import java.util.Locale;

/** Numbers and tables for people. Units are decimal: 1 MB is 10⁶ bytes. */
final class Format {
  private Format() {}

  /** As {@code 9.1 MB}. */
  static String bytes(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = -1;
    while (value >= 999.95) {
      value /= 1000;
      unit++;
    }
    return String.format(Locale.ROOT, "%.1f %cB", value, "kMGTPE".charAt(unit));
  }

  /** As {@code 7.3 M}, for numbers of parameters. */
  static String count(long count) {
    return bytes(count).replace("B", "").strip();
  }

  /** Tokens per second, or a dash if nothing was computed. */
  static String speed(GenerationStatistics.Phase phase) {
    return phase.tokens() == 0 ? "-" : speed(phase.tokensPerSecond()) + " tok/s";
  }

  /** A speed with at least three digits. */
  static String speed(double perSecond) {
    return String.format(Locale.ROOT, perSecond < 99.95 ? "%.1f" : "%.0f", perSecond);
  }

  /** Two significant digits, never in scientific notation. */
  static String significant(double value) {
    return new BigDecimal(value).round(new MathContext(2)).toPlainString();
  }

  /** A fixed number of decimals. */
  static String decimals(double value, int decimals) {
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  /**
   * Rows in aligned columns, two blanks between them.
   *
   * @param alignment one character per column: {@code l} or {@code r}
   */
  static String table(String alignment, List<List<String>> rows) {
    int columns = alignment.length();
    int[] widths = new int[columns];
    for (List<String> row : rows) {
      for (int c = 0; c < columns; c++) {
        widths[c] = Math.max(widths[c], row.get(c).length());
      }
    }
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int c = 0; c < columns; c++) {
        String padding = " ".repeat(widths[c] - row.get(c).length());
        line.append("  ");
        line.append(alignment.charAt(c) == 'r' ? padding + row.get(c) : row.get(c) + padding);
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
    return text.toString();
  }

  /** Control characters as escapes, so that the text stays in its line. */
  static String printable(String text) {
    StringBuilder shown = new StringBuilder();
    text
        .codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '\n' -> shown.append("\\n");
                case '\r' -> shown.append("\\r");
                case '\t' -> shown.append("\\t");
                default -> {
                  if (Character.isISOControl(c)) {
                    shown.append("\\u%04x".formatted(c));
                  } else {
                    shown.appendCodePoint(c);
                  }
                }
              }
            });
    return shown.toString();
  }
}
