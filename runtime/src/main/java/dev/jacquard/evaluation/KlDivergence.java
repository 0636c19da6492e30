package dev.jacquard.evaluation;

import dev.jacquard.memory.JacquardException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * How far a candidate's next-token distributions are from a reference's, over the positions that
 * both have: KL(reference ‖ candidate) = Σ p · ln(p / q), in nats.
 *
 * @param positions compared
 * @param mean over the positions
 * @param max over the positions
 * @param percentile99 99 % of the positions are no further apart; interpolated linearly
 * @param topAgreement share of positions with the same most probable token, from 0 to 1
 * @param largestLogitDifference over all positions and all tokens that both hold
 */
public record KlDivergence(
    int positions,
    double mean,
    double max,
    double percentile99,
    double topAgreement,
    double largestLogitDifference) {
  /** Least probability of what a cut record leaves out, so that its logarithm stays finite. */
  private static final double LEAST_REST = 1e-12;

  /**
   * Compares two files.
   *
   * @throws IOException if one cannot be read
   * @throws JacquardException if one is damaged, their vocabularies differ, or one is empty
   */
  public static KlDivergence between(Path reference, Path candidate) throws IOException {
    try (LogitsFile p = LogitsFile.open(reference);
        LogitsFile q = LogitsFile.open(candidate)) {
      if (p.vocabulary() != q.vocabulary()) {
        throw new JacquardException(
            "the vocabularies differ: %d tokens in %s, %d in %s; compare files of the same model"
                .formatted(p.vocabulary(), reference, q.vocabulary(), candidate));
      }
      int n = Math.min(p.positions(), q.positions());
      if (n == 0) {
        throw new JacquardException(
            "nothing to compare: " + (p.positions() == 0 ? reference : candidate) + " is empty");
      }
      double[] divergences = new double[n];
      int agreeing = 0;
      double difference = 0;
      for (int i = 0; i < n; i++) {
        PositionLogits a = p.read(i);
        PositionLogits b = q.read(i);
        divergences[i] = of(a, b);
        agreeing += a.best() == b.best() ? 1 : 0;
        difference = Math.max(difference, largestDifference(a, b));
      }
      Arrays.sort(divergences);
      return new KlDivergence(
          n,
          Arrays.stream(divergences).sum() / n,
          divergences[n - 1],
          percentile(divergences, 0.99),
          (double) agreeing / n,
          difference);
    }
  }

  /**
   * The divergence after one position. Where a record is cut, it is taken over the tokens that both
   * hold and one bucket for all others, which is a lower bound.
   */
  static double of(PositionLogits p, PositionLogits q) {
    PositionLogits fewer = p.isFull() ? q : p;
    double sum = 0;
    double sumP = 0;
    double sumQ = 0;
    for (int i = 0; i < fewer.size(); i++) {
      int inP = p.indexOf(fewer.id(i));
      int inQ = q.indexOf(fewer.id(i));
      if (inP < 0 || inQ < 0) {
        continue;
      }
      double probability = Math.exp(p.logProbability(inP));
      sum += probability * (p.logProbability(inP) - q.logProbability(inQ));
      sumP += probability;
      sumQ += Math.exp(q.logProbability(inQ));
    }
    if (p.isFull() && q.isFull()) {
      return sum;
    }
    double restP = Math.max(LEAST_REST, 1 - sumP);
    double restQ = Math.max(LEAST_REST, 1 - sumQ);
    return sum + restP * Math.log(restP / restQ);
  }

  private static double largestDifference(PositionLogits p, PositionLogits q) {
    PositionLogits fewer = p.isFull() ? q : p;
    double largest = 0;
    for (int i = 0; i < fewer.size(); i++) {
      int inP = p.indexOf(fewer.id(i));
      int inQ = q.indexOf(fewer.id(i));
      if (inP >= 0 && inQ >= 0) {
        largest = Math.max(largest, Math.abs((double) p.logit(inP) - q.logit(inQ)));
      }
    }
    return largest;
  }

  /** Between the two sorted values around {@code share} of the way from the first to the last. */
  static double percentile(double[] sorted, double share) {
    double place = share * (sorted.length - 1);
    int below = (int) place;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }
}
