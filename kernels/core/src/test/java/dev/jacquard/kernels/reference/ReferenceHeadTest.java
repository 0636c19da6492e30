package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.testing.HeadContract;

class ReferenceHeadTest extends HeadContract {
  @Override
  protected Backend open(BackendOptions options) {
    return new ReferenceBackend(options);
  }
}
