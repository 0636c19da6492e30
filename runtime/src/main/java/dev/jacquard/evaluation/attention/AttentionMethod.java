package dev.jacquard.evaluation.attention;

import dev.jacquard.kernels.Exactness;
import java.util.Locale;

/** A way to read the visible tokens of a sequence that is compared with DENSE. */
public sealed interface AttentionMethod {
  /** Its name in results, as {@code budgeted:0.8} or {@code quest:0.14}. */
  String name();

  /** The class of the steps that are run with it. */
  Exactness exactness();

  /** A class of the runtime. */
  record OfClass(Exactness exactness) implements AttentionMethod {
    @Override
    public String name() {
      return switch (exactness) {
        case Exactness.Dense _ -> "dense";
        case Exactness.Certified c -> "certified:" + c.epsilon();
        case Exactness.Verified v -> "verified:" + v.epsilon() + "," + v.delta();
        case Exactness.Budgeted b -> "budgeted:" + b.coverage();
      };
    }
  }

  /**
   * A prompt whose blocks of rows are read as {@link Exactness.Budgeted} does, and DENSE from then
   * on: what is compared is what reading less of the prompt left in the cache.
   *
   * @param coverage of prompts, above 0 and below 1
   */
  record OfPrompt(double coverage) implements AttentionMethod {
    /** Checks. */
    public OfPrompt {
      if (!(coverage > 0 && coverage < 1)) {
        throw new IllegalArgumentException(
            "a coverage of prompts is above 0 and below 1: " + coverage);
      }
    }

    @Override
    public Exactness exactness() {
      return Exactness.DENSE;
    }

    /** The class of the prompt's steps. */
    Exactness ofPrompt() {
      return new Exactness.Budgeted(coverage, coverage);
    }

    @Override
    public String name() {
      return "prompt:" + coverage;
    }
  }

  /**
   * A baseline that may read a share of the bytes of DENSE.
   *
   * @param share above 0, at most 1; what the baseline reads to rank is part of it
   */
  record OfBaseline(Baseline baseline, double share) implements AttentionMethod {
    /** Any class whose rows read lists; what it chooses is replaced. */
    private static final Exactness LISTED = new Exactness.Budgeted(0.5, 1);

    /** Checks. */
    public OfBaseline {
      if (!(share > 0 && share <= 1)) {
        throw new IllegalArgumentException("a share of the bytes is above 0, at most 1: " + share);
      }
    }

    @Override
    public Exactness exactness() {
      return LISTED;
    }

    @Override
    public String name() {
      return String.format(Locale.ROOT, "%s:%.3f", baseline.name().toLowerCase(Locale.ROOT), share);
    }
  }
}
