package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.testing.ExactnessContract;

/** The classes of exactness on the backend that defines them, against independent sums. */
class ReferenceExactnessTest extends ExactnessContract {
  /** One rounding to float. */
  private static final double ROUNDED = 1.2e-7;

  @Override
  protected Backend open(BackendOptions options) {
    return new ReferenceBackend(options);
  }

  @Override
  protected double outputError() {
    return ROUNDED;
  }

  @Override
  protected double scoreError() {
    return ROUNDED;
  }

  @Override
  protected double certificateRounding() {
    return 1e-4;
  }

  @Override
  protected int certificateCases() {
    return Integer.getInteger("jacquard.certificate.cases", 1_000_000);
  }
}
