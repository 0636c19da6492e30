package dev.jacquard.evaluation.attention;

import java.util.Arrays;

/** Sums of what is known of one query head of a layer, over the steps that were examined. */
final class HeadAudit {
  /** Shares of the weight of which the number of tokens is counted. */
  static final double[] SHARES = {0.5, 0.9, 0.95, 0.99};

  /** What float sums of the comparison itself may be off, as a share of the diameter. */
  private static final double ROUNDING = 2e-5;

  private int steps;
  private double mass;
  private double kept;
  private double error;
  private double worstError;
  private double bound;
  private double worstBound;
  private int violations;
  private final double[] tokens = new double[SHARES.length];

  /**
   * Adds a step.
   *
   * @param massKept softmax mass of the tokens read as tokens
   * @param shareKept their share of the visible tokens
   * @param trueError ‖o − o′‖ / diameter
   * @param proved its bound, or 0 if none is given
   * @param certified whether the bound is a promise
   */
  void add(double massKept, double shareKept, double trueError, double proved, boolean certified) {
    steps++;
    mass += massKept;
    kept += shareKept;
    error += trueError;
    worstError = Math.max(worstError, trueError);
    bound += proved;
    worstBound = Math.max(worstBound, proved);
    violations += certified && trueError > proved + ROUNDING ? 1 : 0;
  }

  /** Counts the fewest tokens that hold the {@link #SHARES} of the weights, which sum to 1. */
  void addWeights(float[] weights, int from, int count) {
    float[] sorted = Arrays.copyOfRange(weights, from, from + count);
    Arrays.sort(sorted);
    steps++;
    double sum = 0;
    int share = 0;
    for (int i = 1; i <= count && share < SHARES.length; i++) {
      sum += sorted[count - i];
      while (share < SHARES.length && (sum >= SHARES[share] || i == count)) {
        tokens[share++] += i;
      }
    }
  }

  int steps() {
    return steps;
  }

  int violations() {
    return violations;
  }

  double meanMass() {
    return mass / steps;
  }

  double meanKept() {
    return kept / steps;
  }

  double meanError() {
    return error / steps;
  }

  double worstError() {
    return worstError;
  }

  double meanBound() {
    return bound / steps;
  }

  double worstBound() {
    return worstBound;
  }

  double meanTokens(int share) {
    return tokens[share] / steps;
  }
}
