package dev.jacquard.evaluation.attention;

import dev.jacquard.kernels.Exactness;
import java.util.Locale;

/** A way to read the visible tokens of a sequence that is compared with DENSE. */
public sealed interface AttentionMethod {
  /** Its name in results, as {@code budgeted:0.8} or {@code quest:0.14}. */
  String name();

  /** A class of the runtime. */
  record OfClass(Exactness exactness) implements AttentionMethod {
    @Override
    public String name() {
      return switch (exactness) {
        case Exactness.Dense _ -> "dense";
        case Exactness.Certified c -> "certified:" + c.epsilon();
        case Exactness.Verified v -> "verified:" + v.epsilon() + ":" + v.delta();
        case Exactness.Budgeted b -> "budgeted:" + b.coverage();
      };
    }
  }

  /**
   * A baseline that may read a share of the bytes of DENSE.
   *
   * @param share above 0, at most 1; what the baseline reads to rank is part of it
   */
  record OfBaseline(Baseline baseline, double share) implements AttentionMethod {
    /** Checks. */
    public OfBaseline {
      if (!(share > 0 && share <= 1)) {
        throw new IllegalArgumentException("a share of the bytes is above 0, at most 1: " + share);
      }
    }

    @Override
    public String name() {
      return String.format(
          Locale.ROOT, "%s:%.3f", baseline.name().toLowerCase(Locale.ROOT), share);
    }
  }
}
