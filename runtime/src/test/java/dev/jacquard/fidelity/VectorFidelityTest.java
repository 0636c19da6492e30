package dev.jacquard.fidelity;

import dev.jacquard.kernels.KvFormat;
import java.util.Map;

/**
 * The bounds for the bundled model are llama.cpp's own distance from exact, times 1.25 for Q8_0 and
 * Q4_0. The tiny models magnify rounding: their bound is what 8-bit activations cost llama.cpp.
 */
class VectorFidelityTest extends FidelityContract {
  VectorFidelityTest() {
    super(
        "vector",
        new Bounds(
            KvFormat.F16,
            1,
            1.5,
            Map.of("Q8_0", 1.25 * 3.0e-4, "Q4_0", 1.25 * 3.8e-4, "Q4_K_M", 7.2e-4),
            0.7));
  }
}
