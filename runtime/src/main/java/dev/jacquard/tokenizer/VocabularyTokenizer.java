package dev.jacquard.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.Set;

/**
 * What the tokenizers of model files have in common: special tokens are split out, the texts
 * between them are encoded one by one.
 */
abstract sealed class VocabularyTokenizer implements Tokenizer
    permits BpeTokenizer, SentencePieceTokenizer {
  final Vocabulary vocabulary;
  final SpecialIds special;
  private final SpecialTokens specialTokens;

  VocabularyTokenizer(Vocabulary vocabulary, SpecialIds special) {
    this.vocabulary = vocabulary;
    this.special = special;
    this.specialTokens = new SpecialTokens(vocabulary);
  }

  /** What encodes the texts of one call of {@link #encode}. */
  interface TextEncoder {
    /** Appends the ids of a part of the text that holds no special token and is not empty. */
    void encode(String text, int from, int to);
  }

  /** An encoder that appends to {@code ids} and merges with {@code queue}. */
  abstract TextEncoder encoder(MergeQueue queue, IntList ids);

  /** The bytes of a token that is neither control nor unknown. */
  abstract byte[] textBytes(int token);

  @Override
  public final int[] encode(String text, Options options) {
    return encode(text, options, new MergeQueue());
  }

  /** Encodes with this queue, which then knows how much work that was. */
  final int[] encode(String text, Options options, MergeQueue queue) {
    String whole = replaceLoneSurrogates(text);
    IntList ids = new IntList();
    TextEncoder encoder = encoder(queue, ids);
    if (options.addSpecial() && special.addBos()) {
      ids.add(special.bos());
    }
    int from = 0;
    SpecialTokens.Matches matches = specialTokens.matches(whole, options.parseSpecial());
    while (matches.next()) {
      if (from < matches.start()) {
        encoder.encode(whole, from, matches.start());
      }
      ids.add(matches.token());
      from = matches.end();
    }
    if (from < whole.length()) {
      encoder.encode(whole, from, whole.length());
    }
    if (options.addSpecial() && special.addEos()) {
      ids.add(special.eos());
    }
    return ids.toArray();
  }

  private static String replaceLoneSurrogates(String text) {
    for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
      if (Character.isSurrogate(text.charAt(i)) && Character.charCount(text.codePointAt(i)) == 1) {
        return text.codePoints()
            .map(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c)
            .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
            .toString();
      }
    }
    return text;
  }

  @Override
  public final byte[] bytes(int token) {
    return switch (vocabulary.type(checked(token))) {
      case CONTROL, UNKNOWN -> new byte[0];
      case NORMAL, USER_DEFINED, UNUSED, BYTE -> textBytes(token);
    };
  }

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public final int size() {
    return vocabulary.size();
  }

  @Override
  public final String spelling(int token) {
    return vocabulary.spelling(checked(token));
  }

  @Override
  public final boolean isControl(int token) {
    return vocabulary.type(checked(token)) == TokenType.CONTROL;
  }

  private int checked(int token) {
    return Objects.checkIndex(token, vocabulary.size());
  }

  @Override
  public final int bos() {
    return special.bos();
  }

  @Override
  public final int eos() {
    return special.eos();
  }

  @Override
  public final Set<Integer> endOfGeneration() {
    return special.endOfGeneration();
  }

  @Override
  public final String decode(int... tokens) {
    StreamingDetokenizer detokenizer = StreamingDetokenizer.ofText(this);
    StringBuilder text = new StringBuilder();
    for (int token : tokens) {
      text.append(detokenizer.push(token));
    }
    return text.append(detokenizer.flush()).toString();
  }
}
