package dev.jacquard.fidelity;

import dev.jacquard.kernels.KvFormat;
import java.util.Map;

/** Keys and values in 8 bits, the divergence of which is 1.5e-4 for the bundled model. */
class VectorQ8CacheFidelityTest extends FidelityContract {
  VectorQ8CacheFidelityTest() {
    super(
        "vector",
        new Bounds(KvFormat.Q8, 0.6, 0.5, Map.of("Q8_0", 1e-3, "Q4_0", 1e-3, "Q4_K_M", 1e-3), 0.3));
  }
}
