package dev.jacquard.session;

/**
 * Bytes that a model needs.
 *
 * @param weights stored weights, mapped or repacked
 * @param kv keys and values of one session of full context
 * @param activations buffers for a step
 */
public record MemoryEstimate(long weights, long kv, long activations) {
  /** Everything together. */
  public long total() {
    return weights + kv + activations;
  }
}
