package dev.jacquard.calibration;

/**
 * How many bits each channel of a sketch gets: one bit after the other goes where it takes most
 * from the variance of the score's error, {@code σ² · distortion(bits)} for a channel of which
 * queries and keys have the variance σ each.
 *
 * <p>Steps and distortions are those of the best uniform quantiser of a normal variable (Max,
 * "Quantizing for minimum distortion", 1960), whose values lie in the middle of their intervals.
 */
final class BitAllocation {
  /** Width of an interval, in standard deviations, for 1 to 7 bits. */
  private static final double[] STEP = {0, 1.5958, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569};

  /** Mean square error, of variance 1, for 0 to 7 bits. */
  private static final double[] DISTORTION = {
    1, 0.3634, 0.1188, 0.03744, 0.01154, 0.003495, 0.001041, 0.0003035
  };

  /**
   * The keys far out are those that get weight, and wider intervals clip them less; of the widths
   * that were tried this one ranks keys of Gemma 3 270M best, by little (docs/attention.md).
   */
  private static final double WIDENING = 1.15;

  private BitAllocation() {}

  /** Width of an interval, in standard deviations, of a channel with 1 to 7 bits. */
  static double step(int bits) {
    return WIDENING * STEP[bits];
  }

  /** Mean square error of a channel of variance 1 with 0 to 7 bits. */
  static double distortion(int bits) {
    return DISTORTION[bits];
  }

  /**
   * Bits of each channel, 0 to 7.
   *
   * @param sigma standard deviations of the channels' parts of the score
   * @param total bits to give away
   */
  static int[] of(double[] sigma, int total) {
    int[] bits = new int[sigma.length];
    for (int given = 0; given < total; given++) {
      int best = -1;
      double most = 0;
      for (int c = 0; c < bits.length; c++) {
        double gain =
            bits[c] + 1 < DISTORTION.length
                ? sigma[c] * sigma[c] * (DISTORTION[bits[c]] - DISTORTION[bits[c] + 1])
                : 0;
        if (gain > most) {
          most = gain;
          best = c;
        }
      }
      if (best < 0) {
        break;
      }
      bits[best]++;
    }
    return bits;
  }
}
