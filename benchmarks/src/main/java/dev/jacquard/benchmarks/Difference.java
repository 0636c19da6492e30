package dev.jacquard.benchmarks;

/** What a benchmark checks before it times anything. */
final class Difference {
  /** Most error of float against double sums over the same rounded numbers. */
  static final double SAME_NUMBERS = 1e-8;

  private Difference() {}

  /** Normalised mean squared error: {@code Σ(a−b)² / Σb²}. */
  static double nmse(float[] candidate, float[] reference) {
    double[] sums = new double[2];
    add(sums, candidate, reference);
    return sums[0] / sums[1];
  }

  /** Adds {@code Σ(a−b)²} to {@code sums[0]} and {@code Σb²} to {@code sums[1]}. */
  static void add(double[] sums, float[] candidate, float[] reference) {
    for (int i = 0; i < reference.length; i++) {
      double d = candidate[i] - (double) reference[i];
      sums[0] += d * d;
      sums[1] += reference[i] * (double) reference[i];
    }
  }

  /** Stops the benchmark if the candidate is not what the reference computes. */
  static void require(String what, float[] candidate, float[] reference, double bound) {
    double nmse = nmse(candidate, reference);
    if (!(nmse <= bound)) {
      throw new IllegalStateException(
          what + ": NMSE against the reference is " + nmse + ", the bound is " + bound);
    }
  }
}
