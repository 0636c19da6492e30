package dev.jacquard.tokenizer;

/**
 * Finds tokens that are split out of a text before it is tokenized: user-defined ones always,
 * control and unknown ones where the caller asks for it. The leftmost match wins, of several there
 * the longest, as in the original tokenizers (SentencePiece, Hugging Face).
 */
final class SpecialTokens {
  private static final int ROOT = 0;

  private final Vocabulary vocabulary;

  /** Edges of a trie over UTF-16 units: node and unit to node. */
  private final LongIntMap edges = new LongIntMap(64);

  /** Node to token. */
  private final LongIntMap tokens = new LongIntMap(64);

  private int nodes = 1;
  private boolean hasUserDefined;

  SpecialTokens(Vocabulary vocabulary) {
    this.vocabulary = vocabulary;
    for (int id = 0; id < vocabulary.size(); id++) {
      switch (vocabulary.type(id)) {
        case USER_DEFINED -> {
          add(id);
          hasUserDefined = true;
        }
        case CONTROL, UNKNOWN -> add(id);
        case NORMAL, UNUSED, BYTE -> {}
      }
    }
  }

  private void add(int id) {
    String spelling = vocabulary.spelling(id);
    int node = ROOT;
    for (int i = 0; i < spelling.length(); i++) {
      long edge = edge(node, spelling.charAt(i));
      edges.putIfAbsent(edge, nodes);
      node = edges.get(edge);
      if (node == nodes) {
        nodes++;
      }
    }
    if (node != ROOT) {
      tokens.putIfAbsent(node, id);
    }
  }

  private static long edge(int node, char unit) {
    return ((long) node << 16) | unit;
  }

  /** A search through a text from its beginning. */
  Matches matches(String text, boolean control) {
    return new Matches(text, control);
  }

  /** The matches in one text, in order. */
  final class Matches {
    private final String text;
    private final boolean control;
    private int start;
    private int end;
    private int token = LongIntMap.NONE;

    private Matches(String text, boolean control) {
      this.text = text;
      this.control = control;
    }

    /** Goes on to the next match; false if there is none. */
    boolean next() {
      if (!control && !hasUserDefined) {
        return false;
      }
      for (start = end; start < text.length(); start++) {
        if (matchAtStart()) {
          return true;
        }
      }
      return false;
    }

    private boolean matchAtStart() {
      token = LongIntMap.NONE;
      int node = ROOT;
      for (int i = start; i < text.length(); i++) {
        node = edges.get(edge(node, text.charAt(i)));
        if (node == LongIntMap.NONE) {
          break;
        }
        int found = tokens.get(node);
        if (found != LongIntMap.NONE
            && (control || vocabulary.type(found) == TokenType.USER_DEFINED)) {
          token = found;
          end = i + 1;
        }
      }
      return token != LongIntMap.NONE;
    }

    /** Where the match begins. */
    int start() {
      return start;
    }

    /** Where the text goes on. */
    int end() {
      return end;
    }

    /** The token that matched. */
    int token() {
      return token;
    }
  }
}
