package dev.jacquard.attention;

import dev.jacquard.kernels.KvView;

/**
 * Decides which cached pages a step reads. It returns data, never code: kernels know views, not
 * policies. What is visible at all (causality, windows) is the model's business and not a policy's.
 */
public interface AttentionPolicy {
  /**
   * Writes the entries of {@code live} that rows from {@code firstPosition} on shall read to {@code
   * selected}, in ascending position.
   *
   * @param live all pages that the sequence holds in this group
   * @param window the group's window, or 0
   * @param selected empty on entry
   */
  void select(KvView live, int window, int firstPosition, KvView selected);

  /** Every visible token is read: the class of exactness DENSE. */
  AttentionPolicy DENSE = new DensePolicy();
}
