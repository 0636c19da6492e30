package dev.jacquard.sampling;

import java.util.Optional;

/**
 * Which logits decide a token: the {@code best} largest, as far as they are at most {@code within}
 * below the largest. What is further below has no part in the choice except through the sum of the
 * probabilities that top-p compares with, and there {@link Sampler} knows how much it can be.
 *
 * @param best at least 1
 * @param within at least 0; infinite for all of them
 */
public record Wanted(int best, float within) {
  /**
   * What settings want; empty if every logit can matter: recent tokens are penalised, or neither
   * top-k nor min-p limits what may be drawn, or top-p sums the probabilities of all tokens.
   */
  public static Optional<Wanted> of(SamplingSettings settings) {
    int best = Integer.MAX_VALUE;
    float within = Float.POSITIVE_INFINITY;
    boolean sumsAll = false;
    for (SamplingStep step : SamplingStep.of(settings)) {
      switch (step) {
        case SamplingStep.RepeatPenalty _ -> {
          return Optional.empty();
        }
        case SamplingStep.Greedy _ -> best = 1;
        case SamplingStep.TopK(int k) -> best = k;
        case SamplingStep.TopP _ -> sumsAll = best == Integer.MAX_VALUE;
        case SamplingStep.MinP(float share) -> within = distance(share);
        case SamplingStep.Temperature _, SamplingStep.Draw _ -> {}
      }
    }
    boolean limited = best < Integer.MAX_VALUE || within < Float.POSITIVE_INFINITY;
    return limited && !sumsAll ? Optional.of(new Wanted(best, within)) : Optional.empty();
  }

  /** How far below the best a logit is whose probability is {@code share} of the best's; up. */
  private static float distance(float share) {
    return Math.nextUp((float) -Math.log(share));
  }

  /** The same, and the second best if it is not more than {@code margin} below the best. */
  public Wanted withMargin(double margin) {
    return margin == 0
        ? this
        : new Wanted(Math.max(2, best), Math.max(within, Math.nextUp((float) margin)));
  }
}
