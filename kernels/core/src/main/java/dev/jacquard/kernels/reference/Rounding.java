package dev.jacquard.kernels.reference;

/** What the roundings to float on the way from scores to an output may change. */
final class Rounding {
  /** Half a unit in the last place, relative. */
  private static final double HALF_ULP = 0x1p-24;

  private Rounding() {}

  /**
   * A bound of the change, divided by the diameter of the values.
   *
   * <p>Scores and sums of weights are rounded once each (sums are in double before): weights are
   * off by factors {@code exp(±δ)}, δ = 2^−24 · (largest score + 2). Of normalised weights that
   * moves at most {@code 1 − exp(−2δ) ≤ 2δ} from some tokens to others, each part by the diameter
   * at most. The output is rounded once.
   *
   * @param score the largest magnitude of a score
   * @param length of the longest output
   */
  static double share(double score, double length, double diameter) {
    return HALF_ULP * (2 * (score + 2) + length / diameter);
  }
}
