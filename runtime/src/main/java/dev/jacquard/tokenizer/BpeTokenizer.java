package dev.jacquard.tokenizer;

import dev.jacquard.modelfile.ModelMetadata;
import java.util.List;
import java.util.Set;

/**
 * Byte-level byte-pair encoding (Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners"): a text is cut into words, a word into its UTF-8 bytes, and neighbours are merged in
 * the order of a list of merges. A vocabulary spells bytes as characters that can be seen: {@code
 * Ġ} is a space.
 *
 * <p>A merge that would end in a control or unknown token is left out, so that no text becomes one.
 * Of two merges of the same pair the first counts, as in llama.cpp. A file without {@code
 * bos_token_id} or {@code eos_token_id} has no such token (llama.cpp takes token 11, which is right
 * for one model).
 */
final class BpeTokenizer extends VocabularyTokenizer {
  /** {@code tokenizer.ggml.model} of these files. */
  static final String KIND = "gpt2";

  private static final String MERGES = "tokenizer.ggml.merges";
  private static final SpecialIds DEFAULTS =
      new SpecialIds(SpecialIds.NONE, SpecialIds.NONE, SpecialIds.NONE, false, false, Set.of());

  private final PreTokenizer preTokenizer;

  /** Token of each byte, or the unknown token. */
  private final int[] byteTokens;

  /** Two tokens to the rank of their merge. */
  private final LongIntMap ranks;

  /** Token that a merge makes, by rank. */
  private final int[] merged;

  private BpeTokenizer(
      Vocabulary vocabulary,
      SpecialIds special,
      PreTokenizer preTokenizer,
      int[] byteTokens,
      LongIntMap ranks,
      int[] merged) {
    super(vocabulary, special);
    this.preTokenizer = preTokenizer;
    this.byteTokens = byteTokens;
    this.ranks = ranks;
    this.merged = merged;
  }

  /**
   * Reads vocabulary, special ids, pre-tokenizer and merges.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if something is missing or contradicts
   *     itself
   */
  static BpeTokenizer of(ModelMetadata metadata) {
    PreTokenizer preTokenizer = PreTokenizer.of(metadata);
    Vocabulary vocabulary = Vocabulary.of(metadata);
    SpecialIds special = SpecialIds.of(metadata, vocabulary, DEFAULTS);
    int[] byteTokens = byteTokens(metadata, vocabulary, special);
    List<String> merges = metadata.strings(MERGES);
    LongIntMap ranks = new LongIntMap(merges.size());
    int[] merged = new int[merges.size()];
    for (int rank = 0; rank < merged.length; rank++) {
      String merge = merges.get(rank);
      // The first character may be a space itself.
      int space = merge.indexOf(' ', 1);
      if (space < 0) {
        throw metadata.fault(MERGES, "two tokens in each merge", describe(merge, rank));
      }
      int left = vocabulary.find(merge.substring(0, space));
      int right = vocabulary.find(merge.substring(space + 1));
      int both = vocabulary.find(merge.substring(0, space).concat(merge.substring(space + 1)));
      if (left < 0 || right < 0 || both < 0) {
        throw metadata.fault(
            MERGES, "merges of two tokens of the vocabulary into a third", describe(merge, rank));
      }
      merged[rank] = both;
      switch (vocabulary.type(both)) {
        case CONTROL, UNKNOWN -> {}
        case NORMAL, USER_DEFINED, UNUSED, BYTE -> ranks.putIfAbsent(pair(left, right), rank);
      }
    }
    return new BpeTokenizer(vocabulary, special, preTokenizer, byteTokens, ranks, merged);
  }

  private static String describe(String merge, int rank) {
    return "merge " + rank + " \"" + merge + "\"";
  }

  private static int[] byteTokens(
      ModelMetadata metadata, Vocabulary vocabulary, SpecialIds special) {
    int[] tokens = new int[256];
    for (int value = 0; value < 256; value++) {
      int token = vocabulary.find(String.valueOf(ByteAlphabet.character(value)));
      tokens[value] = token != Vocabulary.NONE ? token : special.unknown();
      // These three groups of bytes do not occur in UTF-8.
      boolean needed = value < 0xC0 || (value > 0xC1 && value < 0xF5);
      if (needed && tokens[value] == SpecialIds.NONE) {
        throw metadata.fault(
            Vocabulary.TOKENS,
            "a token for each byte that UTF-8 uses, or an unknown token",
            "none for byte " + value + " ('" + ByteAlphabet.character(value) + "')");
      }
    }
    return tokens;
  }

  private static long pair(int left, int right) {
    return ((long) left << 32) | right;
  }

  @Override
  public String kind() {
    return KIND;
  }

  @Override
  public boolean addsSpacePrefix() {
    return false;
  }

  @Override
  byte[] textBytes(int token) {
    String spelling = vocabulary.spelling(token);
    return vocabulary.type(token) == TokenType.USER_DEFINED
        ? utf8(spelling)
        : ByteAlphabet.decode(spelling);
  }

  @Override
  TextEncoder encoder(MergeQueue queue, IntList ids) {
    WordEncoder words = new WordEncoder(queue, ids);
    return (text, from, to) ->
        preTokenizer.split(text, from, to, (start, end) -> words.encode(text, start, end));
  }

  /** Encodes words; reused for all words of a call. */
  private final class WordEncoder extends SymbolMerger {
    private final IntList ids;

    /** Token of each symbol. */
    private int[] tokens = new int[64];

    WordEncoder(MergeQueue queue, IntList ids) {
      super(queue);
      this.ids = ids;
    }

    void encode(String text, int start, int end) {
      int count = spell(text, start, end);
      mergeAll(count);
      for (int i = 0; i >= 0; i = next(i)) {
        ids.add(tokens[i]);
      }
    }

    /** Sets a symbol for each byte of the word and returns their number. */
    private int spell(String text, int start, int end) {
      // A UTF-16 unit makes at most three bytes.
      int most = Math.multiplyExact(end - start, 3);
      if (tokens.length < most) {
        tokens = new int[Math.max(most, Math.addExact(tokens.length, tokens.length >> 1))];
      }
      int count = 0;
      for (int i = start; i < end; ) {
        int character = text.codePointAt(i);
        i += Character.charCount(character);
        if (character < 0x80) {
          tokens[count++] = byteTokens[character];
        } else {
          int following = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
          int mark = (0xFF00 >> (following + 1)) & 0xFF;
          tokens[count++] = byteTokens[mark | (character >> (6 * following))];
          for (int k = following - 1; k >= 0; k--) {
            tokens[count++] = byteTokens[0x80 | ((character >> (6 * k)) & 0x3F)];
          }
        }
      }
      return count;
    }

    @Override
    long priority(int left, int right) {
      int rank = ranks.get(pair(tokens[left], tokens[right]));
      return rank == LongIntMap.NONE ? NEVER : rank;
    }

    @Override
    void join(int left, int right, int priority) {
      tokens[left] = merged[priority];
    }
  }
}
