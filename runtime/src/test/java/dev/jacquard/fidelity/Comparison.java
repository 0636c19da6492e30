package dev.jacquard.fidelity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.testing.ReferenceLogits;
import dev.jacquard.testing.TeacherForcing;

/** A backend's logits against stored ones, over the last positions of a text. */
final class Comparison {
  private static final int CHUNK = 128;

  private final ReferenceLogits exact;
  private final double lead;
  private int positions;
  private double divergences;
  private double largestDivergence;
  private double largestDifference;
  private int sameBest;

  /**
   * Runs the model over {@code tokens} and compares the last {@code outputs} positions. No logit
   * may be infinite or not a number, and the best token must be the stored one wherever that leads
   * by more than {@code lead}.
   */
  Comparison(
      Backend backend,
      KvFormat kvFormat,
      ModelFile file,
      int[] tokens,
      int outputs,
      ReferenceLogits exact,
      double lead) {
    this.exact = exact;
    this.lead = lead;
    new TeacherForcing(backend, kvFormat, CHUNK).run(file, tokens, outputs, this::compare);
    assertEquals(outputs, positions);
  }

  private void compare(int position, float[] logits) {
    double divergence = exact.divergence(position, logits);
    double difference = exact.largestDifference(position, logits);
    assertTrue(Double.isFinite(divergence + difference), "position " + position);
    int best = ReferenceLogits.argMax(logits);
    if (exact.lead(position) > lead) {
      assertEquals(exact.best(position), best, "best token at position " + position);
    }
    positions++;
    divergences += divergence;
    largestDivergence = Math.max(largestDivergence, divergence);
    largestDifference = Math.max(largestDifference, difference);
    sameBest += best == exact.best(position) ? 1 : 0;
  }

  /** Mean divergence of a position, in nats. */
  double meanDivergence() {
    return divergences / positions;
  }

  /** Largest difference of a stored logit. */
  double largestDifference() {
    return largestDifference;
  }

  @Override
  public String toString() {
    return ("%d positions, divergence mean %.2e, largest %.2e; "
            + "largest logit difference %.2e; same best token %d")
        .formatted(positions, meanDivergence(), largestDivergence, largestDifference, sameBest);
  }
}
