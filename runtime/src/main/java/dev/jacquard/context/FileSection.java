package dev.jacquard.context;

import java.util.List;

/**
 * A text that a model reads, and a store keeps, as one: a whole file if it is short, else a part of
 * it; a line with the path stands first.
 *
 * @param text what is read
 * @param spans what of the file it has, in ascending order
 * @param ids the text's tokens; not to be changed
 */
@SuppressWarnings("ArrayRecordComponent") // handed on to the session, which keeps it
public record FileSection(String text, List<Span> spans, int[] ids) {
  /**
   * Characters of a file.
   *
   * @param start the first, counted in UTF-16 units of the file
   * @param end the one after the last
   * @param at where the first stands in the section's text
   */
  public record Span(int start, int end, int at) {
    boolean has(int position) {
      return start <= position && position < end;
    }
  }

  /** Copies. */
  public FileSection {
    spans = List.copyOf(spans);
  }

  /** Whether it has the character of the file at this position. */
  boolean has(int position) {
    return spans.stream().anyMatch(span -> span.has(position));
  }
}
