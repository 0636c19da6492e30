package dev.jacquard.quantization;

import java.util.Map;

/** What a tensor is for, as far as the choice of its format depends on it; known by its name. */
enum Role {
  OUTPUT,
  TOKEN_EMBEDDING,
  /** Keys, queries and values in one matrix, or values, or latent keys and values. */
  VALUE,
  KEY,
  ATTENTION_OUTPUT,
  DOWN,
  OTHER;

  /** Parts of names; no name has two of them. */
  private static final Map<String, Role> BY_PART =
      Map.of(
          "attn_qkv.weight", VALUE,
          "attn_kv_b.weight", VALUE,
          "attn_v.weight", VALUE,
          "attn_k.weight", KEY,
          "attn_output.weight", ATTENTION_OUTPUT,
          "ffn_down", DOWN);

  /** The role of a tensor. */
  static Role of(String name) {
    return switch (name) {
      case "output.weight" -> OUTPUT;
      case "token_embd.weight", "per_layer_token_embd.weight" -> TOKEN_EMBEDDING;
      default ->
          BY_PART.entrySet().stream()
              .filter(e -> name.contains(e.getKey()))
              .map(Map.Entry::getValue)
              .findFirst()
              .orElse(OTHER);
    };
  }
}
