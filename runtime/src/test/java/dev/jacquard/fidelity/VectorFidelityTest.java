package dev.jacquard.fidelity;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.testing.ReferenceLogits;
import dev.jacquard.testing.TestData;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * Activations are never rounded to 8 bits, so what is left is the rounding of cached keys and
 * values to half precision: far below llama.cpp's own distance from exact (3.0e-4 for Q8_0).
 */
class VectorFidelityTest extends FidelityContract {
  private static final double DIVERGENCE = 1e-5;

  VectorFidelityTest() {
    super(
        "vector",
        new Bounds(
            KvFormat.F16,
            0.05,
            0.1,
            Map.of("Q8_0", DIVERGENCE, "Q4_0", DIVERGENCE, "Q4_K_M", DIVERGENCE),
            0.05));
  }

  @Test
  void halfPrecisionWeightsComeAsClose() {
    int[] tokens = TestData.ids(TestData.resource("reference/java-7m.tokens.txt"));
    ReferenceLogits exact =
        ReferenceLogits.read(TestData.shared("reference/java-7m.F16.logits.bin"));
    try (Backend backend = Backends.open("vector", new BackendOptions(2));
        ModelFile file = ModelFile.open(TestData.shared("models/java-7m.F16.gguf"))) {
      Comparison comparison =
          new Comparison(backend, KvFormat.F16, file, tokens, tokens.length, exact, 0.05);
      System.out.println("vector, java-7m F16: " + comparison);
      assertTrue(comparison.meanDivergence() <= DIVERGENCE, comparison.toString());
    }
  }
}
