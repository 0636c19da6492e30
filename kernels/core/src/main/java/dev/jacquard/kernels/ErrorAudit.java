package dev.jacquard.kernels;

/**
 * The numbers of {@link Exactness.Verified}, for all backends alike: how many samples audit what
 * was left out, how random they are, and how many standard errors a bound spans.
 */
public final class ErrorAudit {
  private static final int FEWEST_SAMPLES = 32;
  private static final int MOST_SAMPLES = 4096;

  private ErrorAudit() {}

  /**
   * Standard errors of a bound that fails with probability {@code delta}: {@code √(2·ln(2 /
   * delta))}. A normal variable is larger, in magnitude, with a probability below delta (Chernoff's
   * bound); what this is more than the normal quantile makes up for a variance that is itself
   * estimated.
   */
  public static double deviations(double delta) {
    return Math.sqrt(2 * Math.log(2 / delta));
  }

  /**
   * Samples of each query head: so many that the bound is met if the samples deviate by the
   * diameter of the values, and what they stand for has the share of the weight that its estimate
   * says. 32 to 4096.
   */
  public static int samples(Exactness.Verified wanted) {
    double root = deviations(wanted.delta()) * (1 - wanted.coverage()) / wanted.epsilon();
    return (int) Math.clamp(Math.ceil(root * root), FEWEST_SAMPLES, MOST_SAMPLES);
  }

  /**
   * A random number of {@code [0, 1)} that depends on nothing but its arguments: SplitMix64's
   * finaliser (Steele, Lea and Flood, 2014), once for each of them.
   */
  public static double uniform(long seed, int layer, int head, int position, int sample) {
    long bits = mix(mix(mix(mix(mix(seed) + layer) + head) + position) + sample);
    return (bits >>> 11) * 0x1p-53;
  }

  private static long mix(long state) {
    long z = state + 0x9E3779B97F4A7C15L;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
