package dev.jacquard.tokenizer;

import dev.jacquard.modelfile.ModelMetadata;
import java.util.Arrays;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * SentencePiece's BPE (Kudo and Richardson 2018) as GGUF files of kind {@code llama} hold it: of
 * all neighbours whose joined spelling is a token, those with the best score are joined first.
 * Spaces are spelled {@code ▁}; a character without a token becomes its UTF-8 bytes, where the
 * vocabulary has tokens for them, or else the unknown token.
 *
 * <p>Control, unknown and byte tokens are never joined from text, as in SentencePiece; llama.cpp
 * does join them.
 */
final class SentencePieceTokenizer extends VocabularyTokenizer {
  /** {@code tokenizer.ggml.model} of these files. */
  static final String KIND = "llama";

  private static final String SCORES = "tokenizer.ggml.scores";
  private static final SpecialIds DEFAULTS = new SpecialIds(1, 2, 0, true, false, Set.of());
  private static final Pattern BYTE_SPELLING = Pattern.compile("<0x[0-9A-Fa-f]{2}>");
  private static final char SPACE = '▁';

  private final float[] scores;
  private final int[] byteTokens;
  private final boolean spacePrefix;
  private final PairFilter pairs;

  /** 31ⁱ, to take the hash of a part from the hashes of beginnings. */
  private final int[] powers;

  private SentencePieceTokenizer(
      Vocabulary vocabulary,
      SpecialIds special,
      float[] scores,
      int[] byteTokens,
      boolean spacePrefix) {
    super(vocabulary, special);
    this.scores = scores;
    this.byteTokens = byteTokens;
    this.spacePrefix = spacePrefix;
    this.pairs = new PairFilter(vocabulary.size());
    for (int id = 0; id < vocabulary.size(); id++) {
      if (isPiece(id)) {
        pairs.addAll(vocabulary.spelling(id));
      }
    }
    this.powers = new int[vocabulary.longest() + 1];
    powers[0] = 1;
    for (int i = 1; i < powers.length; i++) {
      powers[i] = powers[i - 1] * 31;
    }
  }

  /**
   * Reads vocabulary, scores and special ids.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if something is missing or contradicts
   *     itself
   */
  static SentencePieceTokenizer of(ModelMetadata metadata) {
    // Without types, byte tokens would be taken for text.
    metadata.integers(Vocabulary.TYPES);
    Vocabulary vocabulary = Vocabulary.of(metadata);
    float[] scores = metadata.floats(SCORES);
    if (scores.length != vocabulary.size()) {
      throw metadata.fault(
          SCORES, "one score for each of " + vocabulary.size() + " tokens", scores.length + "");
    }
    for (int id = 0; id < scores.length; id++) {
      if (Float.isNaN(scores[id])) {
        throw metadata.fault(SCORES, "numbers", "NaN for token " + id);
      }
      if (vocabulary.type(id) == TokenType.BYTE
          && !BYTE_SPELLING.matcher(vocabulary.spelling(id)).matches()) {
        throw metadata.fault(
            Vocabulary.TOKENS,
            "byte tokens spelled as <0xAB>",
            "token " + id + " \"" + vocabulary.spelling(id) + "\"");
      }
    }
    SpecialIds special = SpecialIds.of(metadata, vocabulary, DEFAULTS);
    int[] byteTokens = new int[256];
    for (int value = 0; value < 256; value++) {
      byteTokens[value] = vocabulary.find(String.format("<0x%02X>", value));
      if (byteTokens[value] == Vocabulary.NONE && special.unknown() == SpecialIds.NONE) {
        throw metadata.fault(
            Vocabulary.TOKENS,
            "a token for each byte, or an unknown token",
            "none for byte " + value);
      }
    }
    return new SentencePieceTokenizer(
        vocabulary,
        special,
        scores,
        byteTokens,
        metadata.flag("tokenizer.ggml.add_space_prefix", true));
  }

  /** Whether a text can spell the token. */
  private boolean isPiece(int id) {
    return switch (vocabulary.type(id)) {
      case NORMAL, USER_DEFINED, UNUSED -> true;
      case CONTROL, UNKNOWN, BYTE -> false;
    };
  }

  @Override
  public String kind() {
    return KIND;
  }

  @Override
  public boolean addsSpacePrefix() {
    return spacePrefix;
  }

  @Override
  byte[] textBytes(int token) {
    String spelling = vocabulary.spelling(token);
    return vocabulary.type(token) == TokenType.BYTE
        ? new byte[] {(byte) Integer.parseInt(spelling, 3, 5, 16)}
        : utf8(spelling.replace(SPACE, ' '));
  }

  @Override
  TextEncoder encoder(MergeQueue queue, IntList ids) {
    SegmentEncoder segments = new SegmentEncoder(queue, ids);
    return (text, from, to) -> {
      String escaped = text.substring(from, to).replace(' ', SPACE);
      segments.encode(spacePrefix ? SPACE + escaped : escaped);
    };
  }

  /**
   * Encodes texts. A text is cut where no token holds the two characters beside the cut: nothing is
   * joined across it, so the segments can be merged one by one, in little memory.
   */
  private final class SegmentEncoder extends SymbolMerger {
    private final IntList ids;
    private String text = "";
    private int segmentEnd;

    /** Hash of the text before each position. */
    private int[] hashes = new int[0];

    /** Where each symbol begins. */
    private int[] starts = new int[64];

    SegmentEncoder(MergeQueue queue, IntList ids) {
      super(queue);
      this.ids = ids;
    }

    void encode(String escaped) {
      text = escaped;
      hashes = new int[text.length() + 1];
      for (int i = 0; i < text.length(); i++) {
        hashes[i + 1] = hashes[i] * 31 + text.charAt(i);
      }
      int count = 0;
      int before = 0;
      for (int i = 0; i < text.length(); ) {
        int character = text.codePointAt(i);
        if (count > 0 && !pairs.mayContain(before, character)) {
          encodeSegment(count, i);
          count = 0;
        }
        if (count == starts.length) {
          starts = Arrays.copyOf(starts, count * 2);
        }
        starts[count++] = i;
        before = character;
        i += Character.charCount(character);
      }
      encodeSegment(count, text.length());
    }

    private void encodeSegment(int count, int end) {
      segmentEnd = end;
      mergeAll(count);
      for (int i = 0; i >= 0; i = next(i)) {
        int token = find(starts[i], end(i));
        if (token != Vocabulary.NONE) {
          ids.add(token);
        } else {
          addBytes(starts[i], end(i));
        }
      }
    }

    private void addBytes(int from, int to) {
      for (byte value : utf8(text.substring(from, to))) {
        int token = byteTokens[value & 0xFF];
        ids.add(token == Vocabulary.NONE ? special.unknown() : token);
      }
    }

    private int end(int symbol) {
      int next = next(symbol);
      return next < 0 ? segmentEnd : starts[next];
    }

    /** The token that this part of the text spells, or {@link Vocabulary#NONE}. */
    private int find(int from, int to) {
      int length = to - from;
      if (length >= powers.length) {
        return Vocabulary.NONE;
      }
      int id = vocabulary.find(text, from, to, hashes[to] - hashes[from] * powers[length]);
      return id == Vocabulary.NONE || !isPiece(id) ? Vocabulary.NONE : id;
    }

    @Override
    long priority(int left, int right) {
      int id = find(starts[left], end(right));
      return id == Vocabulary.NONE ? NEVER : descending(scores[id]);
    }

    @Override
    void join(int left, int right, int priority) {}
  }

  /** A number that is the smaller the greater the score. */
  private static int descending(float score) {
    int bits = Float.floatToRawIntBits(score + 0f); // −0 becomes 0
    return ~(bits ^ ((bits >> 31) & Integer.MAX_VALUE));
  }
}
