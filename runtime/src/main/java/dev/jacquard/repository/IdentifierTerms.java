package dev.jacquard.repository;

import java.util.Locale;
import java.util.Set;

/**
 * The words of a text as a search sees them: identifiers, and their parts where they have several
 * ({@code PagedKvCache} is {@code pagedkvcache}, {@code paged}, {@code kv}, {@code cache}), in
 * lower case and without a plural s. Words that questions are made of are left out.
 */
final class IdentifierTerms {
  private static final Set<String> STOP_WORDS =
      Set.of(
          "a",
          "about",
          "all",
          "an",
          "and",
          "any",
          "are",
          "as",
          "at",
          "be",
          "by",
          "can",
          "code",
          "could",
          "do",
          "doe",
          "does",
          "explain",
          "find",
          "for",
          "from",
          "get",
          "give",
          "has",
          "have",
          "how",
          "i",
          "if",
          "in",
          "into",
          "is",
          "it",
          "its",
          "me",
          "my",
          "no",
          "not",
          "of",
          "on",
          "or",
          "our",
          "please",
          "project",
          "repository",
          "shall",
          "should",
          "show",
          "so",
          "tell",
          "that",
          "the",
          "their",
          "them",
          "then",
          "there",
          "these",
          "they",
          "thi",
          "this",
          "to",
          "use",
          "used",
          "using",
          "was",
          "we",
          "were",
          "what",
          "when",
          "where",
          "which",
          "who",
          "why",
          "will",
          "with",
          "work",
          "would",
          "you",
          "your");

  /** Is told of each term. */
  @FunctionalInterface
  interface Consumer {
    /** A term of the identifier that begins at {@code position}. */
    void term(String term, int position);
  }

  private IdentifierTerms() {}

  /** Hands over the terms of a text in order. */
  static void of(String text, Consumer consumer) {
    int at = 0;
    while (at < text.length()) {
      if (!Character.isLetterOrDigit(text.charAt(at))) {
        at++;
        continue;
      }
      int start = at;
      int part = at;
      int parts = 0;
      while (at < text.length() && isWord(text.charAt(at))) {
        if (at > part && beginsPart(text, at)) {
          parts += emit(text, part, at, start, consumer);
          part = at;
        }
        at++;
      }
      if (part > start) {
        parts += emit(text, part, at, start, consumer);
      }
      if (part == start || parts > 1) {
        emit(text, start, at, start, consumer);
      }
    }
  }

  private static boolean isWord(char c) {
    return Character.isLetterOrDigit(c) || c == '_';
  }

  private static boolean beginsPart(String text, int at) {
    char c = text.charAt(at);
    char before = text.charAt(at - 1);
    if (c == '_' || before == '_') {
      return true;
    }
    boolean upper = Character.isUpperCase(c);
    boolean next = at + 1 < text.length() && Character.isLowerCase(text.charAt(at + 1));
    return (upper && !Character.isUpperCase(before)) || (upper && next);
  }

  private static int emit(String text, int from, int to, int start, Consumer consumer) {
    String term = text.substring(from, to).replace("_", "").toLowerCase(Locale.ROOT);
    if (term.length() > 3 && term.endsWith("s") && !term.endsWith("ss")) {
      term = term.substring(0, term.length() - 1);
    }
    if (term.length() < 2 || STOP_WORDS.contains(term)) {
      return 0;
    }
    consumer.term(term, start);
    return 1;
  }
}
