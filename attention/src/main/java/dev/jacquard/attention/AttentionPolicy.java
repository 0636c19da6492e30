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
  AttentionPolicy DENSE =
      new AttentionPolicy() {
        @Override
        public Exactness exactness(int length) {
          return Exactness.DENSE;
        }

        @Override
        public String toString() {
          return "dense";
        }
      };

  /** Below so many tokens VERIFIED and BUDGETED are DENSE: there is little to save. */
  int DENSE_BELOW = 4096;

  /**
   * One class of exactness for all steps.
   *
   * @param denseBelow shortest sequence that {@link Exactness.Verified} and {@link
   *     Exactness.Budgeted} act on; shorter ones are read whole
   */
  static AttentionPolicy of(Exactness exactness, int denseBelow) {
    ClassPolicy policy = new ClassPolicy(exactness, denseBelow);
    return exactness instanceof Exactness.Dense ? DENSE : policy;
  }

  /**
   * The policy of a text: {@code dense}, {@code certified[:ε]}, {@code verified[:ε[,δ]]} or {@code
   * budgeted[:p[,prefill]]}, as {@code certified:0.01}. What is left out is ε = 0.01 of CERTIFIED,
   * ε = δ = 0.05 of VERIFIED (which reads the coverage 0.8), p = 0.8 and 0.95 for prompts of
   * BUDGETED. The policy prints as such a text.
   *
   * @throws IllegalArgumentException if it is none of these; the message says what is allowed
   */
  static AttentionPolicy parse(String text, int denseBelow) {
    return of(ClassPolicy.exactness(text), denseBelow);
  }

  /**
   * The class of a step whose last row is the {@code length}-th token of its sequence. Steps of a
   * sequence may differ.
   */
  Exactness exactness(int length);

  /**
   * The policy by which a step is done again whose result was not clear enough: BUDGETED becomes
   * VERIFIED, VERIFIED becomes CERTIFIED, and all others DENSE.
   */
  default AttentionPolicy stricter() {
    return DENSE;
  }

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
