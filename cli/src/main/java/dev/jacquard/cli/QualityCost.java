package dev.jacquard.cli;

import dev.jacquard.session.Model;
import org.jspecify.annotations.Nullable;

/** Bytes that a token of the scored half of a window reads, mean. */
final class QualityCost {
  /**
   * What was left out.
   *
   * @param tokens decoded
   * @param spared bytes that they did not read
   */
  record Reading(int tokens, long spared) {}

  private final long dense;
  private long tokens;
  private long spared;

  QualityCost(Model model, int window) {
    dense = model.bytesPerToken(window * 3 / 4);
  }

  /** Counts a window; null if nothing was left out. */
  void add(@Nullable Reading reading) {
    if (reading != null) {
      tokens += reading.tokens;
      spared += reading.spared;
    }
  }

  long bytesPerToken() {
    return tokens == 0 ? dense : dense - spared / tokens;
  }
}
