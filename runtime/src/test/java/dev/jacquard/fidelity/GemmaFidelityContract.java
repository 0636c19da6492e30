package dev.jacquard.fidelity;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.testing.GemmaModel;
import dev.jacquard.testing.ReferenceLogits;
import dev.jacquard.testing.TestData;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * How close a backend comes to the exact logits of Gemma 3 270M, a model with a sliding window that
 * the texts cross. A backend's test is a subclass that says how many tokens it has time for.
 */
abstract class GemmaFidelityContract {
  /**
   * What to compare.
   *
   * @param name of the text, {@code java} or {@code long}
   * @param tokens how many of its tokens are fed
   * @param outputs how many of them, counted from the last, are compared
   * @param divergence the mean divergence must not exceed this
   */
  record Text(String name, int tokens, int outputs, double divergence) {}

  private final String backendName;
  private final KvFormat kvFormat;
  private final double lead;
  private final List<Text> texts;

  /**
   * A contract.
   *
   * @param lead the stored best token must be the backend's where it leads by more
   */
  GemmaFidelityContract(String backendName, KvFormat kvFormat, double lead, Text... texts) {
    this.backendName = backendName;
    this.kvFormat = kvFormat;
    this.lead = lead;
    this.texts = List.of(texts);
  }

  @Test
  void theLogitsComeClose() {
    int threads = Runtime.getRuntime().availableProcessors();
    try (ModelFile file = ModelFile.open(GemmaModel.file());
        Backend backend = Backends.open(backendName, new BackendOptions(threads))) {
      for (Text text : texts) {
        String path = "reference/gemma-3-270m." + text.name;
        int[] tokens =
            Arrays.copyOf(TestData.ids(TestData.resource(path + ".tokens.txt")), text.tokens);
        ReferenceLogits exact = ReferenceLogits.read(TestData.resource(path + ".logits.bin"));
        Comparison comparison =
            new Comparison(backend, kvFormat, file, tokens, text.outputs, exact, lead);
        System.out.println(backendName + ", Gemma 3 270M, " + text.name + ": " + comparison);
        assertTrue(comparison.meanDivergence() <= text.divergence, comparison.toString());
      }
    }
  }
}
