package dev.jacquard.architecture;

import dev.jacquard.kernels.Op.Activation;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelMetadata;

/**
 * Llama (Touvron et al. 2023, arXiv 2302.13971; grouped heads: arXiv 2307.09288; scaled rotation:
 * Llama 3.1) and what shares its name in GGUF files: biases where a file has them, tied embeddings
 * where it has no output matrix. A window in the file's metadata is not applied, as in llama.cpp.
 */
final class LlamaArchitecture implements Architecture {
  @Override
  public String name() {
    return "llama";
  }

  @Override
  public Program program(ModelFile file) {
    requireDense(file.metadata());
    Hyperparameters sizes = Hyperparameters.of(file);
    RotaryEmbedding rotary = RotaryScaling.scaled(file, sizes, Pairing.NEIGHBOURS);
    float scale = (float) (1 / Math.sqrt(sizes.keySize()));
    Blocks blocks = new Blocks(file, sizes);
    blocks.embed(1);
    for (int layer = 0; layer < sizes.layers(); layer++) {
      blocks.beginLayer(layer);
      blocks.normalise("attn_norm");
      blocks.queryKeyValue();
      blocks.rotate(rotary);
      blocks.attend(scale, 0);
      blocks.addBranch();
      blocks.normalise("ffn_norm");
      blocks.feedForward(Activation.SILU);
      blocks.addBranch();
    }
    return blocks.program();
  }

  private static void requireDense(ModelMetadata metadata) {
    String key = "llama.expert_count";
    int experts = metadata.integer(key, 0);
    if (experts != 0) {
      throw metadata.fault(
          key, "0, since mixtures of experts cannot be run", String.valueOf(experts));
    }
  }
}
