package dev.jacquard.tokenizer;

import dev.jacquard.modelfile.ModelMetadata;
import java.util.Arrays;
import java.util.List;

/**
 * The tokens of a file: spelling and type of each id, and the id of a spelling. Immutable.
 *
 * <p>Tokens with an empty spelling are allowed; no text matches them. Two tokens of the same
 * spelling are an error.
 */
final class Vocabulary {
  /** What {@link #find} returns for a spelling that no token has. */
  static final int NONE = -1;

  static final String TOKENS = "tokenizer.ggml.tokens";
  static final String TYPES = "tokenizer.ggml.token_type";

  private final String[] spellings;
  private final TokenType[] types;

  /**
   * A hash table with open addressing; an entry holds the spelling's hash in its high half and its
   * id + 1 in the low one, so that most spellings that differ are never touched.
   */
  private final long[] table;

  private final int longest;

  private Vocabulary(String[] spellings, TokenType[] types, long[] table, int longest) {
    this.spellings = spellings;
    this.types = types;
    this.table = table;
    this.longest = longest;
  }

  /**
   * Reads {@code tokenizer.ggml.tokens} and {@code .token_type}; without types all are normal.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if the two lists differ in length, a type
   *     is unknown, or two tokens have one spelling
   */
  static Vocabulary of(ModelMetadata metadata) {
    List<String> tokens = metadata.strings(TOKENS);
    if (tokens.isEmpty()) {
      throw metadata.fault(TOKENS, "at least one token", "none");
    }
    String[] spellings = tokens.toArray(String[]::new);
    long[] table = new long[Integer.highestOneBit(spellings.length) << 2];
    int longest = 0;
    for (int id = 0; id < spellings.length; id++) {
      String spelling = spellings[id];
      if (spelling.isEmpty()) {
        continue;
      }
      longest = Math.max(longest, spelling.length());
      int hash = spelling.hashCode();
      int slot = Hashing.spread(hash) & (table.length - 1);
      while (table[slot] != 0) {
        if ((int) (table[slot] >> 32) == hash
            && spellings[(int) table[slot] - 1].equals(spelling)) {
          throw metadata.fault(
              TOKENS,
              "a list without duplicates",
              "tokens " + ((int) table[slot] - 1) + " and " + id + " both \"" + spelling + "\"");
        }
        slot = (slot + 1) & (table.length - 1);
      }
      table[slot] = ((long) hash << 32) | (id + 1);
    }
    Vocabulary vocabulary =
        new Vocabulary(spellings, types(metadata, spellings.length), table, longest);
    for (String spelling : SpecialIds.CONTROL_SPELLINGS) {
      int id = vocabulary.find(spelling);
      if (id != NONE) {
        vocabulary.types[id] = TokenType.CONTROL;
      }
    }
    return vocabulary;
  }

  private static TokenType[] types(ModelMetadata metadata, int size) {
    TokenType[] types = new TokenType[size];
    Arrays.fill(types, TokenType.NORMAL);
    if (metadata.has(TYPES)) {
      int[] numbers = metadata.integers(TYPES);
      if (numbers.length != size) {
        throw metadata.fault(
            TYPES, "one type for each of " + size + " tokens", numbers.length + "");
      }
      for (int id = 0; id < size; id++) {
        TokenType type = TokenType.ofNumber(numbers[id]);
        if (type == null) {
          throw metadata.fault(
              TYPES, "types from 1 to 6", "type " + numbers[id] + " of token " + id);
        }
        types[id] = type;
      }
    }
    return types;
  }

  int size() {
    return spellings.length;
  }

  /** UTF-16 units of the longest spelling. */
  int longest() {
    return longest;
  }

  String spelling(int id) {
    return spellings[id];
  }

  TokenType type(int id) {
    return types[id];
  }

  /** The token of this spelling, whatever its type, or {@link #NONE}. */
  int find(String spelling) {
    return find(spelling, 0, spelling.length(), spelling.hashCode());
  }

  /** The token spelled as this part of a text, whose {@link String#hashCode} is {@code hash}. */
  int find(String text, int from, int to, int hash) {
    int mask = table.length - 1;
    for (int slot = Hashing.spread(hash) & mask; table[slot] != 0; slot = (slot + 1) & mask) {
      if ((int) (table[slot] >> 32) == hash) {
        int id = (int) table[slot] - 1;
        if (spellings[id].length() == to - from && text.startsWith(spellings[id], from)) {
          return id;
        }
      }
    }
    return NONE;
  }
}
