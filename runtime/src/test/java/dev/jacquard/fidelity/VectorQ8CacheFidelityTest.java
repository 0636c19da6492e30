package dev.jacquard.fidelity;

import dev.jacquard.kernels.KvFormat;
import java.util.Map;

/** Keys and values in 8 bits: what that changes is about what 8-bit weights change. */
class VectorQ8CacheFidelityTest extends FidelityContract {
  VectorQ8CacheFidelityTest() {
    super(
        "vector",
        new Bounds(KvFormat.Q8, 0.5, 0.5, Map.of("Q8_0", 1e-3, "Q4_0", 1e-3, "Q4_K_M", 1e-3), 0.3));
  }
}
