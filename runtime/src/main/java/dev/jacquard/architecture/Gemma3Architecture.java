package dev.jacquard.architecture;

import dev.jacquard.kernels.Op.Activation;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelMetadata;

/**
 * Gemma 3 (arXiv 2503.19786): embeddings times √width; norms of each query and key head; norms
 * before and after both branches; five layers with a sliding window and rotation of base 10000,
 * then one without a window, with a base of its own and scaled rotation. Norm weights in the file
 * already include the "1 +" of the original.
 */
final class Gemma3Architecture implements Architecture {
  /** Every so many layers the last one has no window. */
  private static final int DEFAULT_PERIOD = 6;

  /** The largest model of the family has this many layers and a score scale of its own. */
  private static final int LAYERS_OF_27B = 62;

  @Override
  public String name() {
    return "gemma3";
  }

  @Override
  public Program program(ModelFile file) {
    ModelMetadata metadata = file.metadata();
    requireUncapped(metadata);
    Hyperparameters sizes = Hyperparameters.of(file);
    int window = notNegative(metadata, "gemma3.attention.sliding_window", 0);
    int period = notNegative(metadata, "gemma3.attention.sliding_window_pattern", DEFAULT_PERIOD);
    RotaryEmbedding local =
        RotaryScaling.plain(metadata, "gemma3.rope.freq_base_swa", sizes, Pairing.HALVES);
    RotaryEmbedding global = RotaryScaling.scaled(file, sizes, Pairing.HALVES);
    float scale = (float) (1 / Math.sqrt(scoreSize(sizes)));
    Blocks blocks = new Blocks(file, sizes);
    blocks.embed((float) Math.sqrt(sizes.width()));
    for (int layer = 0; layer < sizes.layers(); layer++) {
      boolean windowed = window > 0 && (period == 0 || layer % period < period - 1);
      int visible = windowed ? window : 0;
      blocks.beginLayer(layer);
      blocks.normalise("attn_norm");
      blocks.queryKeyValue();
      blocks.normaliseHeads();
      blocks.rotate(windowed ? local : global);
      blocks.attend(scale, visible);
      blocks.normaliseBranch("post_attention_norm");
      blocks.addBranch();
      blocks.normalise("ffn_norm");
      blocks.feedForward(Activation.GELU_TANH);
      blocks.normaliseBranch("post_ffw_norm");
      blocks.addBranch();
    }
    return blocks.program();
  }

  private static double scoreSize(Hyperparameters sizes) {
    return sizes.layers() == LAYERS_OF_27B
        ? (double) sizes.width() / sizes.heads()
        : sizes.keySize();
  }

  private static int notNegative(ModelMetadata metadata, String key, int otherwise) {
    int value = metadata.integer(key, otherwise);
    if (value < 0) {
      throw metadata.fault(key, "0 or more", String.valueOf(value));
    }
    return value;
  }

  private static void requireUncapped(ModelMetadata metadata) {
    String key = "gemma3.final_logit_softcapping";
    double cap = metadata.number(key, 0);
    if (cap != 0) {
      throw metadata.fault(key, "0, since capped logits cannot be run", String.valueOf(cap));
    }
  }
}
