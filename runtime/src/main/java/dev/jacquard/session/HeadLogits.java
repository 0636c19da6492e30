package dev.jacquard.session;

import dev.jacquard.kernels.HeadReport;
import dev.jacquard.sampling.KnownLogits;

/** The logits that an output head computed for a row, as the sampler reads them. */
record HeadLogits(HeadReport.Row row) implements KnownLogits {
  @Override
  public int count() {
    return row.count();
  }

  @Override
  public int token(int i) {
    return row.candidate(i);
  }

  @Override
  public float logit(int i) {
    return row.logit(i);
  }
}
