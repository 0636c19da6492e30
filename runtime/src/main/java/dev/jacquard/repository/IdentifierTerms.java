package dev.jacquard.repository;

import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * The words of a text as a search sees them: identifiers, and their parts where they have several
 * ({@code PagedKvCache} is {@code pagedkvcache}, {@code paged}, {@code kv}, {@code cache}), in
 * lower case and without the endings -s, -ed, -ing and -e, so that {@code share}, {@code shares},
 * {@code shared} and {@code sharing} are one term. Words that questions are made of are left out.
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
          "does",
          "explain",
          "find",
          "finds",
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
          "this",
          "to",
          "use",
          "used",
          "uses",
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
          "works",
          "would",
          "you",
          "your");

  /** Is told of each term. */
  @FunctionalInterface
  interface Consumer {
    /**
     * A term of the identifier that begins at {@code position}.
     *
     * @param term without its ending
     * @param word as it is written, in lower case
     */
    void term(String term, String word, int position);
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
    String word = text.substring(from, to).replace("_", "").toLowerCase(Locale.ROOT);
    if (word.length() < 2 || STOP_WORDS.contains(word)) {
      return 0;
    }
    consumer.term(stem(word), word, start);
    return 1;
  }

  /** Takes English endings off: a little of what Porter's stemmer does (Program 14(3), 1980). */
  private static String stem(String word) {
    String stem = word;
    if (stem.length() > 3 && stem.endsWith("s") && !stem.endsWith("ss")) {
      stem = stem.substring(0, stem.length() - 1);
    }
    for (String ending : List.of("ing", "ed")) {
      if (stem.endsWith(ending) && isStem(stem, stem.length() - ending.length())) {
        stem = undoubled(stem.substring(0, stem.length() - ending.length()));
        break;
      }
    }
    return stem.length() > 3 && stem.endsWith("e") ? stem.substring(0, stem.length() - 1) : stem;
  }

  /** Whether what stands before {@code end} can be a word: three letters with a vowel. */
  private static boolean isStem(String word, int end) {
    return end >= 3 && word.chars().limit(end).anyMatch(c -> "aeiouy".indexOf(c) >= 0);
  }

  /** {@code mapp} is {@code map}, but {@code call}, {@code pass} and {@code buzz} stay. */
  private static String undoubled(String stem) {
    int last = stem.length() - 1;
    char c = stem.charAt(last);
    boolean doubled = c == stem.charAt(last - 1) && "aeioulsz".indexOf(c) < 0;
    return doubled ? stem.substring(0, last) : stem;
  }
}
