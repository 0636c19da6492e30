package dev.jacquard.session;

import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Weight;

/**
 * Bytes that a model needs.
 *
 * @param weights stored weights, mapped or repacked
 * @param kv keys and values of one session of full context
 * @param activations buffers for a step
 */
public record MemoryEstimate(long weights, long kv, long activations) {
  private static final long LOGITS_BYTES = 64L << 20;

  /**
   * What a program needs: weights as they are stored; whole pages of keys and values, of layers
   * with a window those of the window and one step; a buffer for each slot, as if none was shared.
   *
   * @param context tokens of the session
   * @param batchSize most rows of a step
   */
  public static MemoryEstimate of(Program program, int context, int batchSize, KvFormat kvFormat) {
    long weights = 0;
    for (Weight weight : program.weights()) {
      weights += weight.tensor().data().byteSize();
    }
    long activations = 0;
    for (Slot slot : program.slots()) {
      long rows =
          switch (slot.domain()) {
            case ALL -> batchSize;
            case OUTPUT -> maxOutputs(slot.width(), batchSize);
          };
      activations += rows * slot.width() * Float.BYTES;
    }
    return new MemoryEstimate(
        weights, PagedKvCache.bytes(program.kv(), kvFormat, context, batchSize), activations);
  }

  /** Most output rows of a step: the logits of a step stay within 64 MiB. */
  static int maxOutputs(int vocabulary, int batchSize) {
    return Math.clamp(LOGITS_BYTES / Float.BYTES / vocabulary, 1, batchSize);
  }

  /** Everything together. */
  public long total() {
    return weights + kv + activations;
  }
}
