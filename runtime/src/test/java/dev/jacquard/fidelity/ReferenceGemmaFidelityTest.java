package dev.jacquard.fidelity;

import dev.jacquard.kernels.KvFormat;

class ReferenceGemmaFidelityTest extends GemmaFidelityContract {
  ReferenceGemmaFidelityTest() {
    super("reference", KvFormat.F32, 0.05, new Text("long", 640, 64, 3e-5));
  }
}
