package dev.jacquard.kernels;

/**
 * What a backend is opened with.
 *
 * @param threads platform threads that compute, at least 1
 */
public record BackendOptions(int threads) {
  /** Checks. */
  public BackendOptions {
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, not " + threads);
    }
  }
}
