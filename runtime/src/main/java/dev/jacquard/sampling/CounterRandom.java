package dev.jacquard.sampling;

/**
 * Random numbers without a state: each is a function of seed, sequence and position alone, so that
 * neither batching nor rewinding changes what is drawn.
 *
 * <p>The three numbers are absorbed one after another, each followed by the mixing function of
 * SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators", variant 13
 * of Stafford). The idea of counters instead of states is from Salmon et al. 2011, "Parallel random
 * numbers: as easy as 1, 2, 3".
 */
final class CounterRandom {
  /** 2^64 divided by the golden ratio, made odd. */
  private static final long GAMMA = 0x9E3779B97F4A7C15L;

  private CounterRandom() {}

  /** Uniform in [0, 1), a multiple of 2^-53. */
  static double uniform(long seed, long sequence, long position) {
    long bits = mix(mix(mix(seed) ^ sequence) ^ position);
    return (bits >>> 11) * 0x1p-53;
  }

  private static long mix(long value) {
    long z = value + GAMMA;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
