package dev.jacquard.tokenizer;

import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.ModelMetadata;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Tokenizers to test with: those of files, and small ones made by hand. */
final class TestVocabularies {
  private static final int NORMAL = 1;
  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int BYTE = 6;

  private TestVocabularies() {}

  static Tokenizer open(Path path) {
    try (GgufFile file = GgufFile.open(path)) {
      return Tokenizers.of(file.metadata());
    }
  }

  static Tokenizer of(Map<String, Object> values) {
    return Tokenizers.of(metadata(values));
  }

  static ModelMetadata metadata(Map<String, Object> values) {
    return new ModelMetadata(Path.of("made-by-hand.gguf"), values);
  }

  /** A copy of the tokens, to change. */
  static String[] tokens(Map<String, Object> values) {
    return metadata(values).strings("tokenizer.ggml.tokens").toArray(String[]::new);
  }

  /**
   * Byte-level BPE: 256 bytes (token {@code b} spells byte {@code b}), then 256 {@code he}, 257
   * {@code ll}, 258 {@code hell}, 259 {@code hello}, control tokens 260 {@code <|bos|>} and 261
   * {@code <|im_end|>}, user-defined 262 {@code <tag>} and 263 {@code <tag>>}.
   */
  static Map<String, Object> bpe() {
    List<String> tokens = new ArrayList<>();
    for (int value = 0; value < 256; value++) {
      tokens.add(String.valueOf(ByteAlphabet.character(value)));
    }
    tokens.addAll(List.of("he", "ll", "hell", "hello", "<|bos|>", "<|im_end|>", "<tag>", "<tag>>"));
    int[] types = new int[tokens.size()];
    Arrays.fill(types, NORMAL);
    Arrays.fill(types, 260, 262, CONTROL);
    Arrays.fill(types, 262, 264, USER_DEFINED);
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("tokenizer.ggml.model", "gpt2");
    values.put("tokenizer.ggml.pre", "gpt-2");
    values.put("tokenizer.ggml.tokens", tokens.toArray(String[]::new));
    values.put("tokenizer.ggml.token_type", types);
    values.put("tokenizer.ggml.merges", new String[] {"h e", "l l", "he ll", "hell o"});
    values.put("tokenizer.ggml.bos_token_id", 260L);
    values.put("tokenizer.ggml.eos_token_id", 261L);
    values.put("tokenizer.ggml.add_bos_token", true);
    return values;
  }

  /**
   * SentencePiece: {@code <unk>}, {@code <s>}, {@code </s>}, 256 byte tokens from 3 on, then 259
   * {@code ▁}, 260 {@code a}, 261 {@code b}, 262 {@code ab}, 263 {@code ▁a}, 264 {@code ▁ab}, 265
   * {@code <}, 266 {@code s}, 267 {@code >}, 268 {@code <s}, 269 {@code <tag>} (user-defined).
   */
  static Map<String, Object> sentencePiece() {
    List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    for (int value = 0; value < 256; value++) {
      tokens.add("<0x%02X>".formatted(value));
    }
    tokens.addAll(List.of("▁", "a", "b", "ab", "▁a", "▁ab", "<", "s", ">", "<s", "<tag>"));
    int[] types = new int[tokens.size()];
    Arrays.fill(types, NORMAL);
    types[0] = UNKNOWN;
    types[1] = CONTROL;
    types[2] = CONTROL;
    Arrays.fill(types, 3, 259, BYTE);
    types[269] = USER_DEFINED;
    float[] scores = new float[tokens.size()];
    for (int id = 259; id < scores.length; id++) {
      scores[id] = 259 - id;
    }
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("tokenizer.ggml.model", "llama");
    values.put("tokenizer.ggml.tokens", tokens.toArray(String[]::new));
    values.put("tokenizer.ggml.token_type", types);
    values.put("tokenizer.ggml.scores", scores);
    return values;
  }
}
