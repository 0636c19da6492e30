package dev.jacquard.kernels;

import org.jspecify.annotations.Nullable;

/**
 * A backend's answer about an op, given before anything runs.
 *
 * @param kernel what will compute it, as {@code "q4_0 tiles, float activations, 512 bit"}
 * @param refusal why it cannot be computed, with what would help; null if it can
 */
public record OpSupport(String kernel, @Nullable String refusal) {
  /** The op runs on {@code kernel}. */
  public static OpSupport by(String kernel) {
    return new OpSupport(kernel, null);
  }

  /** The op does not run. */
  public static OpSupport refused(String reason) {
    return new OpSupport("none", reason);
  }
}
