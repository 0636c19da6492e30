package dev.jacquard.repository;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a text whose language is not parsed into blocks. A block begins at a line without
 * indentation after a blank one; neighbours are joined while they stay small, and what is large
 * without such a border is cut between lines. Together the blocks are the whole text.
 */
final class TextBlocks {
  /** Small blocks are joined up to so many characters. */
  static final int SMALL = 2000;

  /** A block that has more is cut at the next line. */
  static final int LARGE = 8000;

  private static final int NAME_LENGTH = 60;

  private TextBlocks() {}

  static Outline of(String text) {
    LineIndex lines = new LineIndex(text);
    List<Symbol> blocks = new ArrayList<>();
    int start = 0; // of the block, which holds what is between here and `border`
    int border = 0; // the last place where a block may begin
    for (int line = 1; line <= lines.lines(); line++) {
      int at = lines.start(line);
      boolean end = line == lines.lines();
      boolean mayBegin = end || (isBlank(text, lines, line - 1) && !startsBlank(text, at));
      if (mayBegin && at - start > SMALL && border > start) {
        blocks.add(block(text, lines, start, border));
        start = border;
      }
      if (mayBegin) {
        border = at;
      }
      if (end || at - start > LARGE) {
        blocks.add(block(text, lines, start, at));
        start = at;
        border = at;
      }
    }
    return new Outline(List.of(), blocks);
  }

  private static Symbol block(String text, LineIndex lines, int start, int end) {
    String name =
        text.substring(start, end)
            .lines()
            .map(String::strip)
            .filter(s -> !s.isEmpty())
            .findFirst()
            .orElse("");
    name = name.length() <= NAME_LENGTH ? name : name.substring(0, NAME_LENGTH);
    return lines.symbol(Symbol.Kind.BLOCK, name, start, end, List.of());
  }

  private static boolean isBlank(String text, LineIndex lines, int line) {
    return text.substring(lines.start(line), lines.start(line + 1)).isBlank();
  }

  private static boolean startsBlank(String text, int at) {
    return Character.isWhitespace(text.charAt(at));
  }
}
