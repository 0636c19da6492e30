package dev.jacquard.kernels;

/**
 * Which logits of a sequence's output rows are computed: data of a step, read by {@link Op.Head}.
 * The promise of each rule is written down in docs/pruning.md.
 */
public sealed interface HeadRule {
  /** All of them. */
  HeadRule DENSE = new Dense();

  /** All of them. */
  record Dense() implements HeadRule {}

  /**
   * At least the largest ones, with the bits of {@link Dense}; that no other is larger is proved by
   * the norms of what a coarse plane of the matrix leaves out.
   *
   * @param best how many of the largest, at least 1; of equal ones the lower id is the larger
   * @param within of these only those are promised that are at most so much below the largest;
   *     infinite for all
   */
  record Certified(int best, float within) implements HeadRule {
    /** Checks. */
    public Certified {
      requireSome(best);
      if (!(within >= 0)) {
        throw new IllegalArgumentException("a distance is at least 0, not " + within);
      }
    }

    /** The {@code best} largest, however far they are apart. */
    public Certified(int best) {
      this(best, Float.POSITIVE_INFINITY);
    }
  }

  /**
   * As {@link Certified}, but a row whose estimate is {@code sigmas} standard deviations of the
   * estimate's error below the best is taken to be no candidate. No promise.
   *
   * @param best how many of the largest, at least 1
   * @param sigmas above 0
   */
  record Estimated(int best, float sigmas) implements HeadRule {
    /** Checks. */
    public Estimated {
      requireSome(best);
      if (!(sigmas > 0 && sigmas <= Float.MAX_VALUE)) {
        throw new IllegalArgumentException("sigmas are finite and above 0, not " + sigmas);
      }
    }
  }

  private static void requireSome(int best) {
    if (best < 1) {
      throw new IllegalArgumentException("at least one logit is wanted, not " + best);
    }
  }
}
