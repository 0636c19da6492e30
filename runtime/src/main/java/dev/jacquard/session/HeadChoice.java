package dev.jacquard.session;

import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.sampling.SamplingSettings;
import dev.jacquard.sampling.Wanted;
import dev.jacquard.tensor.Tensor;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Which logits of a generation are computed.
 *
 * @param headClass what was chosen
 * @param rule the rule of its rows
 * @param within how far below the best everything that decides a token is computed
 * @param reason why all logits are computed; empty if that was asked for, or is not so
 */
record HeadChoice(HeadClass headClass, HeadRule rule, float within, String reason) {
  private static final float SIGMAS = 6;

  /** Below, a head is a small part of a step. */
  private static final int LEAST_VOCABULARY = 32_768;

  /**
   * Of more than so many, however far they are below the best, bounds leave too many candidates:
   * more time than all logits take (docs/head-results.md).
   */
  private static final int MOST_UNLIMITED = 4;

  /**
   * Chooses.
   *
   * @param asked null for CERTIFIED where it pays
   * @param margin of the request
   */
  static HeadChoice of(
      @Nullable HeadClass asked, SamplingSettings settings, double margin, Program program) {
    if (asked == HeadClass.DENSE) {
      return dense("");
    }
    Optional<Wanted> wanted = Wanted.of(settings).map(w -> w.withMargin(margin));
    if (wanted.isEmpty()) {
      return dense("recent tokens are penalised, or neither top-k nor min-p limits the choice");
    }
    int best = Math.min(wanted.get().best(), program.logits().width());
    float within = wanted.get().within();
    if (asked == HeadClass.SIXSIGMA) {
      return new HeadChoice(
          asked, new HeadRule.Estimated(best, SIGMAS), Float.POSITIVE_INFINITY, "");
    }
    if (asked == null && !isLarge(program)) {
      return dense("the head has not 32,768 tokens in Q8_0");
    }
    if (asked == null && best > MOST_UNLIMITED && within == Float.POSITIVE_INFINITY) {
      return dense("without min-p too many logits could be among the top-k");
    }
    return new HeadChoice(HeadClass.CERTIFIED, new HeadRule.Certified(best, within), within, "");
  }

  private static HeadChoice dense(String reason) {
    return new HeadChoice(HeadClass.DENSE, HeadRule.DENSE, Float.POSITIVE_INFINITY, reason);
  }

  private static boolean isLarge(Program program) {
    if (!(program.ops().getLast() instanceof Op.Head head)) {
      return false;
    }
    Tensor matrix = head.output().weight().tensor();
    return matrix.format().name().equals("Q8_0") && matrix.rows() >= LEAST_VOCABULARY;
  }
}
