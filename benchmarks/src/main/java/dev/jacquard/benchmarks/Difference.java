package dev.jacquard.benchmarks;

/** What a benchmark checks before it times anything. */
final class Difference {
  private Difference() {}

  /** Normalised mean squared error: {@code Σ(a−b)² / Σb²}. */
  static double nmse(float[] candidate, float[] reference) {
    double error = 0;
    double power = 0;
    for (int i = 0; i < reference.length; i++) {
      double d = candidate[i] - (double) reference[i];
      error += d * d;
      power += reference[i] * (double) reference[i];
    }
    return error / power;
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
