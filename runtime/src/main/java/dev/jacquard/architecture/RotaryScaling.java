package dev.jacquard.architecture;

import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.modelfile.ModelMetadata;
import java.util.Arrays;

/**
 * Works out how fast each pair of a head turns: {@code base^(−2j/n)} radians per position for pair
 * j of n rotating values, then what {@code rope.scaling.*} and {@code rope_freqs.weight} make of
 * it.
 */
final class RotaryScaling {
  private static final String DIVISORS = "rope_freqs.weight";

  /** Turns within the original context from which YaRN leaves a pair alone. */
  private static final double YARN_FAST = 32;

  /** Turns within the original context up to which YaRN slows a pair down by the whole factor. */
  private static final double YARN_SLOW = 1;

  private RotaryScaling() {}

  /** The unscaled rotation with the base under {@code key}, or 10000 if the key is missing. */
  static RotaryEmbedding plain(
      ModelMetadata metadata, String key, Hyperparameters sizes, Pairing pairing) {
    return new RotaryEmbedding(pairing, frequencies(base(metadata, key), sizes.rotated()), 1);
  }

  /**
   * The rotation that a file states, with its scaling.
   *
   * @throws ModelFormatException if a value is impossible, or the kind of scaling is unknown
   */
  static RotaryEmbedding scaled(ModelFile file, Hyperparameters sizes, Pairing pairing) {
    ModelMetadata metadata = file.metadata();
    String prefix = metadata.architecture() + ".rope.";
    double base = base(metadata, prefix + "freq_base");
    double[] frequencies = frequencies(base, sizes.rotated());
    divide(frequencies, file);
    double amplitude = positive(metadata, prefix + "scaling.attn_factor", 1);
    String type = metadata.string(prefix + "scaling.type", "linear");
    switch (type) {
      case "none" -> {}
      case "linear" -> {
        double factor = factor(metadata, prefix);
        Arrays.setAll(frequencies, j -> frequencies[j] / factor);
      }
      case "yarn" -> {
        double factor = factor(metadata, prefix);
        yarn(frequencies, base, factor, originalContext(metadata, prefix));
        amplitude *= factor <= 1 ? 1 : 1 + 0.1 * Math.log(factor);
      }
      default ->
          throw metadata.fault(prefix + "scaling.type", "none, linear or yarn", "\"" + type + "\"");
    }
    return new RotaryEmbedding(pairing, frequencies, (float) amplitude);
  }

  private static double[] frequencies(double base, int rotated) {
    double[] frequencies = new double[rotated / 2];
    Arrays.setAll(frequencies, j -> Math.pow(base, -2.0 * j / rotated));
    return frequencies;
  }

  /** Llama 3's scaling: the file holds one divisor for each pair. */
  private static void divide(double[] frequencies, ModelFile file) {
    Weights weights = new Weights(file);
    if (!weights.has(DIVISORS)) {
      return;
    }
    float[] divisors = new float[frequencies.length];
    weights.vector(DIVISORS, divisors.length).tensor().decodeRow(0, divisors, 0);
    for (int j = 0; j < divisors.length; j++) {
      if (!(divisors[j] > 0 && divisors[j] < Float.POSITIVE_INFINITY)) {
        throw new ModelFormatException(
            file.path(), -1, "positive numbers in " + DIVISORS, String.valueOf(divisors[j]));
      }
      frequencies[j] /= divisors[j];
    }
  }

  /**
   * YaRN (Peng et al. 2023, arXiv 2309.00071): pairs that turn often within the original context
   * keep their frequency, slow ones are divided by the factor, and those between are mixed.
   */
  private static void yarn(double[] frequencies, double base, double factor, int context) {
    int last = 2 * frequencies.length - 1;
    double low = Math.max(0, Math.floor(pairWithTurns(YARN_FAST, frequencies, base, context)));
    double high = Math.min(last, Math.ceil(pairWithTurns(YARN_SLOW, frequencies, base, context)));
    for (int j = 0; j < frequencies.length; j++) {
      double slowed = Math.clamp((j - low) / Math.max(0.001, high - low), 0.0, 1.0);
      frequencies[j] *= slowed / factor + (1 - slowed);
    }
  }

  /** The (fractional) pair that turns {@code turns} times within the context. */
  private static double pairWithTurns(double turns, double[] pairs, double base, int context) {
    return pairs.length * Math.log(context / (2 * Math.PI * turns)) / Math.log(base);
  }

  private static double base(ModelMetadata metadata, String key) {
    double base = metadata.number(key, 10_000);
    if (!(base > 1 && base <= Float.MAX_VALUE)) {
      throw metadata.fault(key, "a finite number above 1", String.valueOf(base));
    }
    return base;
  }

  /** The scaling factor; 0 stands for none, and old files have another key. */
  private static double factor(ModelMetadata metadata, String prefix) {
    String key = prefix + "scaling.factor";
    String used = metadata.has(key) ? key : prefix + "scale_linear";
    return metadata.number(used, 0) == 0 ? 1 : positive(metadata, used, 1);
  }

  private static double positive(ModelMetadata metadata, String key, double otherwise) {
    double value = metadata.number(key, otherwise);
    if (!(value > 0 && value <= Float.MAX_VALUE)) {
      throw metadata.fault(key, "a positive finite number", String.valueOf(value));
    }
    return value;
  }

  private static int originalContext(ModelMetadata metadata, String prefix) {
    String key = prefix + "scaling.original_context_length";
    String used = metadata.has(key) ? key : metadata.architecture() + ".context_length";
    int context = metadata.integer(used);
    if (context < 1) {
      throw metadata.fault(used, "a positive number", String.valueOf(context));
    }
    return context;
  }
}
