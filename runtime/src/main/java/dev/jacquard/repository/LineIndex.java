package dev.jacquard.repository;

import java.util.Arrays;
import java.util.List;

/** Where the lines of a text begin. */
final class LineIndex {
  private final String text;
  private int[] starts = new int[64];
  private int lines;

  LineIndex(String text) {
    this.text = text;
    for (int at = 0; at < text.length(); ) {
      if (lines == starts.length) {
        starts = Arrays.copyOf(starts, 2 * lines);
      }
      starts[lines++] = at;
      int end = text.indexOf('\n', at);
      at = end < 0 ? text.length() : end + 1;
    }
  }

  /** Number of lines; 0 of an empty text. */
  int lines() {
    return lines;
  }

  /**
   * The first character of a line, counted from 0; the text's length for the line after the last.
   */
  int start(int line) {
    return line == lines ? text.length() : starts[line];
  }

  /** The line, from 1, of the character at {@code position}. */
  int lineOf(int position) {
    int found = Arrays.binarySearch(starts, 0, lines, position);
    return found >= 0 ? found + 1 : Math.max(1, -found - 1);
  }

  /** The symbol of the characters from {@code start} to {@code end}. */
  Symbol symbol(Symbol.Kind kind, String name, int start, int end, List<Symbol> children) {
    return new Symbol(
        kind, name, start, end, lineOf(start), lineOf(Math.max(start, end - 1)), children);
  }
}
