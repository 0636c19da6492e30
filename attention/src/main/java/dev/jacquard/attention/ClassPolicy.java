package dev.jacquard.attention;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Exactness.Budgeted;
import dev.jacquard.kernels.Exactness.Certified;
import dev.jacquard.kernels.Exactness.Dense;
import dev.jacquard.kernels.Exactness.Verified;
import java.math.BigDecimal;

/** One class of exactness for all steps; the estimating classes spare short sequences. */
record ClassPolicy(Exactness wanted, int denseBelow) implements AttentionPolicy {
  private static final double EPSILON = 0.01;

  /** Samples bound more loosely than proofs: with 0.01 most heads would read everything. */
  private static final double VERIFIED_EPSILON = 0.05;

  private static final double DELTA = 0.05;
  private static final double COVERAGE = 0.8;
  private static final double PREFILL_COVERAGE = 0.95;

  /** Samples are random, but the same in every run. */
  private static final long SEED = 0;

  ClassPolicy {
    if (denseBelow < 0) {
      throw new IllegalArgumentException(
          "sequences below 0 tokens or more are dense, not below " + denseBelow);
    }
  }

  @Override
  public Exactness exactness(int length) {
    return switch (wanted) {
      case Dense _, Certified _ -> wanted;
      case Verified _, Budgeted _ -> length < denseBelow ? Exactness.DENSE : wanted;
    };
  }

  @Override
  public AttentionPolicy stricter() {
    return switch (wanted) {
      case Dense _, Certified _ -> DENSE;
      case Verified(double epsilon, double _, double _, long _) ->
          new ClassPolicy(new Certified(epsilon), denseBelow);
      case Budgeted(double coverage, double _) ->
          new ClassPolicy(new Verified(VERIFIED_EPSILON, DELTA, coverage, SEED), denseBelow);
    };
  }

  static Exactness exactness(String text) {
    int colon = text.indexOf(':');
    String name = colon < 0 ? text : text.substring(0, colon);
    String[] numbers = colon < 0 ? new String[0] : text.substring(colon + 1).split(",", -1);
    try {
      return switch (name) {
        case "dense" -> {
          requireAtMost(0, numbers);
          yield Exactness.DENSE;
        }
        case "certified" -> {
          requireAtMost(1, numbers);
          yield new Certified(number(numbers, 0, EPSILON));
        }
        case "verified" -> {
          requireAtMost(2, numbers);
          double epsilon = number(numbers, 0, VERIFIED_EPSILON);
          yield new Verified(epsilon, number(numbers, 1, DELTA), COVERAGE, SEED);
        }
        case "budgeted" -> {
          requireAtMost(2, numbers);
          yield new Budgeted(number(numbers, 0, COVERAGE), number(numbers, 1, PREFILL_COVERAGE));
        }
        default -> throw new IllegalArgumentException("there is no class '" + name + "'");
      };
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "attention is dense, certified[:epsilon], verified[:epsilon[,delta]] or"
              + " budgeted[:coverage[,coverage of prompts]], as certified:0.01, not '"
              + text
              + "': "
              + e.getMessage(),
          e);
    }
  }

  private static void requireAtMost(int count, String[] numbers) {
    if (numbers.length > count) {
      throw new IllegalArgumentException(
          "at most " + count + " numbers belong to this class, not " + numbers.length);
    }
  }

  private static double number(String[] numbers, int i, double otherwise) {
    if (i >= numbers.length) {
      return otherwise;
    }
    try {
      return Double.parseDouble(numbers[i]);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("'" + numbers[i] + "' is no number", e);
    }
  }

  /** As {@link AttentionPolicy#parse} takes it; what the text cannot say is left out. */
  @Override
  public String toString() {
    return switch (wanted) {
      case Dense _ -> "dense";
      case Certified(double epsilon) -> "certified:" + plain(epsilon);
      case Verified(double epsilon, double delta, double _, long _) ->
          "verified:" + plain(epsilon) + "," + plain(delta);
      case Budgeted(double coverage, double prefill) ->
          "budgeted:" + plain(coverage) + "," + plain(prefill);
    };
  }

  private static String plain(double share) {
    return BigDecimal.valueOf(share).stripTrailingZeros().toPlainString();
  }
}
