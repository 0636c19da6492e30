package dev.jacquard.session;

import java.util.List;

/**
 * Looks for stop strings in a text that arrives in pieces, and holds back what could still become
 * one. The first one to be complete ends the text; where several end at the same character, the
 * longest counts. How the text was cut into pieces makes no difference.
 *
 * <p>One automaton of Knuth, Morris and Pratt (1977) for each stop string: its state is how many
 * characters of the string the text ends with, so no text is looked at twice.
 */
final class StopStrings {
  private final String[] stops;

  /** {@code fallback[s][n]}: longest proper prefix of s that its first n characters end with. */
  private final int[][] fallback;

  private final int[] matched;
  private final StringBuilder held = new StringBuilder();
  private boolean found;

  StopStrings(List<String> stops) {
    this.stops = stops.toArray(String[]::new);
    fallback = new int[this.stops.length][];
    matched = new int[this.stops.length];
    for (int s = 0; s < fallback.length; s++) {
      String stop = this.stops[s];
      int[] table = new int[stop.length() + 1];
      for (int n = 1; n < stop.length(); n++) {
        table[n + 1] = advance(stop, table, table[n], stop.charAt(n));
      }
      fallback[s] = table;
    }
  }

  /** Adds text and returns what is certain to be shown; nothing after a stop string. */
  String accept(String text) {
    if (found || stops.length == 0) {
      return found ? "" : text;
    }
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      held.append(c);
      int complete = 0;
      for (int s = 0; s < stops.length; s++) {
        matched[s] = advance(stops[s], fallback[s], matched[s], c);
        if (matched[s] == stops[s].length()) {
          complete = Math.max(complete, matched[s]);
        }
      }
      if (complete > 0) {
        found = true;
        return release(held.length() - complete);
      }
    }
    int unsure = 0;
    for (int count : matched) {
      unsure = Math.max(unsure, count);
    }
    return release(held.length() - unsure);
  }

  /** Whether a stop string was complete. */
  boolean found() {
    return found;
  }

  /** What was held back and turned out not to be a stop string. */
  String finish() {
    return found ? "" : release(held.length());
  }

  private String release(int length) {
    String shown = held.substring(0, length);
    held.delete(0, length);
    return shown;
  }

  private static int advance(String stop, int[] fallback, int matched, char c) {
    int n = matched;
    while (n > 0 && stop.charAt(n) != c) {
      n = fallback[n];
    }
    return stop.charAt(n) == c ? n + 1 : 0;
  }
}
