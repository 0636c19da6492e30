package dev.jacquard.fidelity;

import dev.jacquard.kernels.KvFormat;

/** llama.cpp's own distance from exact is 5.4e-3 and 6.2e-3. */
class VectorGemmaFidelityTest extends GemmaFidelityContract {
  VectorGemmaFidelityTest() {
    super(
        "vector",
        KvFormat.F16,
        0.1,
        new Text("java", 512, 512, 1e-5),
        new Text("long", 1536, 1536, 1e-5));
  }
}
