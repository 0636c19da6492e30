package dev.jacquard.tokenizer;

import dev.jacquard.modelfile.ModelMetadata;

/** The tokenizers that model files can ask for. */
public final class Tokenizers {
  private static final String KEY = "tokenizer.ggml.model";

  private Tokenizers() {}

  /**
   * The tokenizer that a GGUF file describes: kind {@code gpt2} (byte-level BPE) or {@code llama}
   * (SentencePiece).
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if the kind or its pre-tokenizer is not
   *     known here, or the vocabulary is incomplete or contradicts itself
   */
  public static Tokenizer of(ModelMetadata metadata) {
    String kind = metadata.string(KEY);
    return switch (kind) {
      case BpeTokenizer.KIND -> BpeTokenizer.of(metadata);
      case SentencePieceTokenizer.KIND -> SentencePieceTokenizer.of(metadata);
      default ->
          throw metadata.fault(
              KEY,
              "one of the tokenizers known here ("
                  + BpeTokenizer.KIND
                  + ", "
                  + SentencePieceTokenizer.KIND
                  + ")",
              "\"" + kind + "\"");
    };
  }
}
