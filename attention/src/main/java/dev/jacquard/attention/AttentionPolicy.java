package dev.jacquard.attention;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvView;

/**
 * Decides what a step reads of a sequence: on the host, from lengths and pages alone, which pages
 * it sees at all; and the class of exactness, by which the device then chooses among their tokens.
 * It returns data, never code: kernels know views and classes, not policies. What is visible at all
 * (causality, windows) is the model's business and not a policy's.
 */
public interface AttentionPolicy {
  /** Every visible token is read. */
  AttentionPolicy DENSE = length -> Exactness.DENSE;

  /**
   * The class of a step whose last row is the {@code length}-th token of its sequence. Steps of a
   * sequence may differ.
   */
  Exactness exactness(int length);

  /**
   * Writes the entries of {@code live} that rows from {@code firstPosition} on shall see to {@code
   * selected}, in ascending position: unless a policy knows better, all that have a token some row
   * can see.
   *
   * @param live all pages that the sequence holds in this group
   * @param window the group's window, or 0
   * @param selected empty on entry
   */
  default void select(KvView live, int window, int firstPosition, KvView selected) {
    int firstVisible = window == 0 ? 0 : firstPosition - window + 1;
    for (int i = 0; i < live.size(); i++) {
      if (live.firstPosition(i) + live.length(i) > firstVisible) {
        selected.add(live.page(i), live.firstPosition(i), live.length(i), live.pinned(i));
      }
    }
  }
}
