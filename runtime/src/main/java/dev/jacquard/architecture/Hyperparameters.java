package dev.jacquard.architecture;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelMetadata;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * The sizes of a decoder, as its file states them under the keys of its architecture. Everything is
 * checked, so that shapes computed from it fit and no loop over layers runs away.
 *
 * @param width values of the residual stream
 * @param layers number of layers, no more than the file has tensors
 * @param heads query heads
 * @param kvHeads key/value heads, a divisor of {@code heads}
 * @param keySize values of a query or key head
 * @param valueSize values of a value head
 * @param rotated values of a head that turn with the position; even, at most {@code keySize}
 * @param neurons of each feed-forward layer
 * @param vocabulary number of tokens
 * @param epsilon of the RMS norms
 */
record Hyperparameters(
    int width,
    int layers,
    int heads,
    int kvHeads,
    int keySize,
    int valueSize,
    int rotated,
    List<Integer> neurons,
    int vocabulary,
    float epsilon) {
  /** More than any model has, and small enough that a product of two fits an {@code int}. */
  private static final int MOST = 1 << 15;

  private static final int MOST_TOKENS = 1 << 26;

  /**
   * Reads and checks.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if a key is missing or its value impossible
   */
  static Hyperparameters of(ModelFile file) {
    ModelMetadata metadata = file.metadata();
    String prefix = metadata.architecture() + ".";
    int width = size(metadata, prefix + "embedding_length", MOST);
    int heads = size(metadata, prefix + "attention.head_count", MOST);
    int keySize = sizeOr(metadata, prefix + "attention.key_length", width / heads);
    int valueSize = sizeOr(metadata, prefix + "attention.value_length", width / heads);
    int kvHeads = sizeOr(metadata, prefix + "attention.head_count_kv", heads);
    if (heads % kvHeads != 0) {
      throw metadata.fault(
          prefix + "attention.head_count_kv", "a divisor of " + heads, String.valueOf(kvHeads));
    }
    int rotated = sizeOr(metadata, prefix + "rope.dimension_count", keySize);
    if (rotated % 2 != 0 || rotated > keySize) {
      throw metadata.fault(
          prefix + "rope.dimension_count",
          "even and at most the head size " + keySize,
          String.valueOf(rotated));
    }
    int layers = size(metadata, prefix + "block_count", file.tensors().size());
    return new Hyperparameters(
        width,
        layers,
        heads,
        kvHeads,
        keySize,
        valueSize,
        rotated,
        neurons(metadata, prefix + "feed_forward_length", layers),
        vocabulary(metadata, prefix),
        epsilon(metadata, prefix + "attention.layer_norm_rms_epsilon"));
  }

  /** One number for all layers, or an array with one for each. */
  private static List<Integer> neurons(ModelMetadata metadata, String key, int layers) {
    if (!(metadata.get(key).orElse(null) instanceof int[] each)) {
      return Collections.nCopies(layers, size(metadata, key, Integer.MAX_VALUE));
    }
    if (each.length != layers || Arrays.stream(each).anyMatch(n -> n < 1)) {
      throw metadata.fault(
          key, "a number above 0 for each of " + layers + " layers", Arrays.toString(each));
    }
    return Arrays.stream(each).boxed().toList();
  }

  private static int vocabulary(ModelMetadata metadata, String prefix) {
    String tokens = "tokenizer.ggml.tokens";
    if (!metadata.has(tokens)) {
      return size(metadata, prefix + "vocab_size", MOST_TOKENS);
    }
    int count = metadata.strings(tokens).size();
    if (count < 1 || count > MOST_TOKENS) {
      throw metadata.fault(tokens, "1 to " + MOST_TOKENS + " tokens", String.valueOf(count));
    }
    return count;
  }

  private static int sizeOr(ModelMetadata metadata, String key, int otherwise) {
    if (!metadata.has(key) && otherwise < 1) {
      throw metadata.fault(key, "stated where width divided by heads is 0", "no such key");
    }
    return metadata.has(key) ? size(metadata, key, MOST) : otherwise;
  }

  private static int size(ModelMetadata metadata, String key, int most) {
    int value = metadata.integer(key);
    if (value < 1 || value > most) {
      throw metadata.fault(key, "from 1 to " + most, String.valueOf(value));
    }
    return value;
  }

  private static float epsilon(ModelMetadata metadata, String key) {
    double value = metadata.number(key);
    if (!(value >= 0 && value < 1)) {
      throw metadata.fault(key, "from 0 to 1", String.valueOf(value));
    }
    return (float) value;
  }

  /** Values of all queries of a token. */
  int queryWidth() {
    return heads * keySize;
  }

  /** Values of all keys of a token. */
  int keyWidth() {
    return kvHeads * keySize;
  }

  /** Values of all values of a token. */
  int valueWidth() {
    return kvHeads * valueSize;
  }

  /** Values of the results of all query heads. */
  int attendedWidth() {
    return heads * valueSize;
  }
}
