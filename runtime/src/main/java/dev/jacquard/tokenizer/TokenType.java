package dev.jacquard.tokenizer;

import org.jspecify.annotations.Nullable;

/** What a token is for; the numbers are those of {@code tokenizer.ggml.token_type}. */
enum TokenType {
  /** A piece of text. */
  NORMAL,
  /** Stands for what the vocabulary cannot spell. */
  UNKNOWN,
  /** Structure between texts; no text spells it. */
  CONTROL,
  /** A piece of text that is split out before anything else is looked at. */
  USER_DEFINED,
  /** A piece of text that was never trained. */
  UNUSED,
  /** One byte, spelled {@code <0xAB>}. */
  BYTE;

  private static final TokenType[] BY_NUMBER = values();

  /** The type with this number in the file, or null. */
  static @Nullable TokenType ofNumber(int number) {
    return number >= 1 && number <= BY_NUMBER.length ? BY_NUMBER[number - 1] : null;
  }
}
