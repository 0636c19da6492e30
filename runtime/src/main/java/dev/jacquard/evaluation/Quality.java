package dev.jacquard.evaluation;

import dev.jacquard.session.Session.LogitsConsumer;
import java.util.Arrays;
import java.util.function.IntConsumer;

/**
 * How well a model, or a cheaper way of running it, predicts a text, beside what a base predicts.
 * Errors are standard errors of means over positions; those of differences to the base are of the
 * paired differences.
 *
 * @param positions scored
 * @param perplexity of the text
 * @param perplexityError standard error
 * @param factor perplexity over that of the base
 * @param factorError standard error
 * @param klMean KL(base ‖ this), nats a position
 * @param klError standard error
 * @param kl99 99 % of the positions are no further apart
 * @param klMax the largest
 * @param top1 share of positions with the same best token
 * @param top1Error standard error
 */
public record Quality(
    int positions,
    double perplexity,
    double perplexityError,
    double factor,
    double factorError,
    double klMean,
    double klError,
    double kl99,
    double klMax,
    double top1,
    double top1Error) {

  /** Runs a window of tokens from an empty context and hands over logits of its second half. */
  @FunctionalInterface
  public interface Runner {
    /**
     * Hands over the logits after each of the tokens {@code window.length / 2} to {@code
     * window.length − 2}, in order.
     */
    void run(int[] window, LogitsConsumer consumer);
  }

  /**
   * Compares with a base.
   *
   * @param progress told after each window how many are done
   */
  public static Quality measure(KlBase base, Runner runner, IntConsumer progress) {
    int scored = KlBase.scored(base.window());
    double[] loss = new double[base.windows() * scored];
    double[] difference = new double[loss.length];
    double[] divergence = new double[loss.length];
    double[] agreement = new double[loss.length];
    for (int w = 0; w < base.windows(); w++) {
      int[] tokens = base.tokens(w);
      int window = w;
      int[] count = {0};
      runner.run(
          tokens,
          (position, logits) -> {
            int i = count[0]++;
            int at = window * scored + i;
            int next = tokens[tokens.length / 2 + i + 1];
            double logSumExp = LogSumExp.of(logits);
            loss[at] = logSumExp - logits[next];
            difference[at] = loss[at] + base.logProbability(window, i, next);
            divergence[at] = base.divergence(window, i, logits, logSumExp);
            agreement[at] = base.best(window, i) == best(logits) ? 1 : 0;
          });
      if (count[0] != scored) {
        throw new IllegalStateException(
            "a runner gave logits of %d positions, not of %d".formatted(count[0], scored));
      }
      progress.accept(w + 1);
    }
    double perplexity = Math.exp(mean(loss));
    double factor = Math.exp(mean(difference));
    double[] sorted = divergence.clone();
    Arrays.sort(sorted);
    return new Quality(
        loss.length,
        perplexity,
        perplexity * error(loss),
        factor,
        factor * error(difference),
        mean(divergence),
        error(divergence),
        KlDivergence.percentile(sorted, 0.99),
        sorted[sorted.length - 1],
        mean(agreement),
        error(agreement));
  }

  private static int best(float[] logits) {
    int best = 0;
    for (int token = 1; token < logits.length; token++) {
      if (logits[token] > logits[best]) {
        best = token;
      }
    }
    return best;
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).sum() / values.length;
  }

  /** Standard error of the mean, as if positions were independent. */
  private static double error(double[] values) {
    double mean = mean(values);
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1.0) / values.length);
  }
}
