package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.testing.ExactnessContract;

class VectorExactness128Test extends ExactnessContract {
  @Override
  protected Backend open(BackendOptions options) {
    return Widths.open(128, options.threads());
  }

  @Override
  protected double scoreError() {
    return SketchTablesTest.SCORE_ERROR;
  }

  @Override
  protected int certificateCases() {
    return Integer.getInteger("jacquard.certificate.cases", 20_000);
  }
}
