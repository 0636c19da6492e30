package dev.jacquard.benchmarks;

import java.util.Arrays;

/** The middle of what was measured. */
final class Median {
  private Median() {}

  /** The mean of the two in the middle, if their number is even; NaN of nothing. */
  static double of(double[] samples) {
    double[] sorted = samples.clone();
    Arrays.sort(sorted);
    int n = sorted.length;
    return n == 0 ? Double.NaN : (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
  }
}
