package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.testing.HeadContract;

class VectorHead512Test extends HeadContract {
  @Override
  protected Backend open(BackendOptions options) {
    return Widths.open(512, options.threads());
  }
}
