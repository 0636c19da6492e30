package dev.jacquard.tokenizer;

import java.util.Set;

/** Text to token ids and back. Immutable and safe for any thread. */
public interface Tokenizer {
  /** What {@link #encode} does with special tokens. */
  record Options(boolean addSpecial, boolean parseSpecial) {
    /** BOS (and EOS) where the file asks for them; text never becomes a control token. */
    public static final Options DEFAULT = new Options(true, false);

    /** The text alone: nothing added, nothing parsed. */
    public static final Options PLAIN = new Options(false, false);
  }

  /** Kind of tokenizer, as {@code gpt2} or {@code llama}. */
  String kind();

  /** Number of tokens. */
  int size();

  /**
   * Encodes text. Lone surrogates become U+FFFD. Time is linear in the length, up to a logarithm.
   *
   * <p>Spellings of user-defined tokens in the text always become these tokens, as in llama.cpp.
   *
   * @param options {@code addSpecial}: BOS and EOS where the file asks for them; {@code
   *     parseSpecial}: spellings of control tokens in the text become these tokens
   */
  int[] encode(String text, Options options);

  /**
   * The bytes that a token stands for in a text; empty for control tokens. The caller may keep
   * them.
   */
  byte[] bytes(int token);

  /** The vocabulary's own spelling of a token, control tokens included. */
  String spelling(int token);

  /** Whether the token is a control token, which no text spells. */
  boolean isControl(int token);

  /** Id of the token that begins a sequence, or −1. */
  int bos();

  /** Id of the token that ends a sequence, or −1. */
  int eos();

  /** All tokens that end a generation: EOS, EOT, EOM and the file's other ones. */
  Set<Integer> endOfGeneration();

  /**
   * Whether {@link #encode} puts a space before a text, at the start and after special tokens, as
   * SentencePiece does.
   */
  boolean addsSpacePrefix();

  /**
   * Text of ids: their bytes joined, invalid UTF-8 replaced, control tokens left out, and without
   * the space that {@link #encode} puts before a text.
   */
  String decode(int... tokens);
}
