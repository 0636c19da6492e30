package dev.jacquard.evaluation.attention;

import dev.jacquard.evaluation.LogSumExp;
import java.util.Arrays;

/** Sums over positions of how far logits are from those of DENSE. */
final class LogitComparison {
  private static final int BEST = 5;

  private final double[] divergences;
  private int count;
  private int sameTop;
  private double shared;
  private double loss;
  private int predicted;

  LogitComparison(int positions) {
    divergences = new double[positions];
  }

  /**
   * Adds a position.
   *
   * @param next the token that follows in the text, or −1
   */
  void add(float[] dense, float[] logits, int next) {
    double p = LogSumExp.of(dense);
    double q = LogSumExp.of(logits);
    double sum = 0;
    if (dense != logits) {
      for (int i = 0; i < dense.length; i++) {
        double log = dense[i] - p;
        sum += Math.exp(log) * (log - (logits[i] - q));
      }
    }
    divergences[count++] = Math.max(0, sum);
    int[] a = best(dense);
    int[] b = best(logits);
    sameTop += a[0] == b[0] ? 1 : 0;
    shared += Arrays.stream(a).filter(id -> Arrays.stream(b).anyMatch(x -> x == id)).count();
    if (next >= 0) {
      loss += q - logits[next];
      predicted++;
    }
  }

  /** The ids of the greatest logits, greatest first; of equals the lowest id. */
  static int[] best(float[] logits) {
    int[] best = new int[Math.min(BEST, logits.length)];
    int held = 0;
    for (int id = 0; id < logits.length; id++) {
      if (held == best.length && logits[id] <= logits[best[held - 1]]) {
        continue;
      }
      int place = Math.min(held, best.length - 1);
      while (place > 0 && logits[best[place - 1]] < logits[id]) {
        best[place] = best[place - 1];
        place--;
      }
      best[place] = id;
      held = Math.min(held + 1, best.length);
    }
    return best;
  }

  double mean() {
    return Arrays.stream(divergences, 0, count).sum() / count;
  }

  double percentile95() {
    double[] sorted = Arrays.copyOf(divergences, count);
    Arrays.sort(sorted);
    return sorted[(int) Math.ceil(0.95 * count) - 1];
  }

  double max() {
    return Arrays.stream(divergences, 0, count).max().orElse(0);
  }

  double top1() {
    return (double) sameTop / count;
  }

  double top5() {
    return shared / ((double) count * BEST);
  }

  double perplexity() {
    return Math.exp(loss / predicted);
  }
}
