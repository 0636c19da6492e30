package dev.jacquard.fidelity;

import dev.jacquard.kernels.KvFormat;
import java.util.Map;

/** With a cache of floats the vector backend keeps the bounds of the reference. */
class VectorF32CacheFidelityTest extends FidelityContract {
  VectorF32CacheFidelityTest() {
    super(
        "vector",
        new Bounds(
            KvFormat.F32, 1e-3, 0.05, Map.of("Q8_0", 1e-6, "Q4_0", 1e-6, "Q4_K_M", 1e-6), 0.05));
  }
}
