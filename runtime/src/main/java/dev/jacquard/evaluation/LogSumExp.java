package dev.jacquard.evaluation;

import dev.jacquard.sampling.NonFiniteLogitsException;

/** The logarithm of the sum of exponentials, by which logits become log-probabilities. */
public final class LogSumExp {
  private LogSumExp() {}

  /**
   * Of all logits, in double precision, relative to the greatest so that nothing overflows.
   *
   * @throws NonFiniteLogitsException if a logit is NaN or infinite
   */
  public static double of(float[] logits) {
    double greatest = Double.NEGATIVE_INFINITY;
    for (int id = 0; id < logits.length; id++) {
      if (!Float.isFinite(logits[id])) {
        throw new NonFiniteLogitsException(id, logits[id]);
      }
      greatest = Math.max(greatest, logits[id]);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - greatest);
    }
    return greatest + Math.log(sum);
  }
}
