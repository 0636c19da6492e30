package dev.jacquard.kernels;

/**
 * How closely the visible keys of a sequence are read: the class of exactness, which is data of a
 * step. It concerns layers without a window in a cache of format {@link KvFormat#Q8}; layers with a
 * window are always read whole. What each class reads and promises is written down in
 * docs/attention.md.
 *
 * <p>The promise of {@link Certified} and {@link Verified} is about one query head and step,
 * against {@link Dense} over the same cache: {@code ‖o − o′‖ ≤ epsilon · diam(V)}, where diam(V) is
 * the diameter of the visible values.
 */
public sealed interface Exactness {
  /** Every visible token is read in 8 bits. */
  Exactness DENSE = new Dense();

  /** Every visible token is read in 8 bits; equal bits for any number of threads. */
  record Dense() implements Exactness {}

  /**
   * Every key is read in 8 bits, so that the weights are exact; values in 8 bits, in 4 bits or as
   * the mean of their page, as far as a deterministic bound allows. Prompts are read whole.
   *
   * @param epsilon share of the diameter, above 0 and below 1
   */
  record Certified(double epsilon) implements Exactness {
    /** Checks. */
    public Certified {
      requireShare("epsilon", epsilon);
    }
  }

  /**
   * As {@link Budgeted}, audited by seeded random samples of what was left out, which also correct
   * the result; where the audit does not show the promised error, the head reads everything.
   * Prompts are read whole.
   *
   * @param epsilon share of the diameter
   * @param delta probability, by the samples' variance, that the error is larger
   * @param coverage as in {@link Budgeted}, but no page's mean is left out
   * @param seed of the samples; with layer, head and position it decides all of them
   */
  record Verified(double epsilon, double delta, double coverage, long seed) implements Exactness {
    /** Checks. */
    public Verified {
      requireShare("epsilon", epsilon);
      requireShare("delta", delta);
      requireShare("coverage", coverage);
    }
  }

  /**
   * Sketches of all keys estimate the weights. A token that weighs at least {@code tolerance · (1 −
   * coverage) / pages} of the total, with the {@link SketchBasis#tolerance} of its layer, is read
   * in 8 bits; the others enter as the mean of their page if they weigh as much together, and are
   * left out otherwise. No promise beyond the measured quality.
   *
   * @param coverage share of the estimated weight of each head that is read at least, as tokens or
   *     means, when a single token is computed, in a layer of tolerance 1
   * @param prefillCoverage share of the estimated weight that the pages hold which a block of a
   *     prompt reads; 1 reads prompts whole
   */
  record Budgeted(double coverage, double prefillCoverage) implements Exactness {
    /** Checks. */
    public Budgeted {
      requireShare("coverage", coverage);
      if (prefillCoverage != 1) {
        requireShare("coverage of prompts", prefillCoverage);
      }
    }
  }

  private static void requireShare(String what, double value) {
    if (!(value > 0 && value < 1)) {
      throw new IllegalArgumentException(what + " must be above 0 and below 1, not " + value);
    }
  }
}
