package dev.jacquard.session;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.Slot;
import dev.jacquard.memory.JacquardException;

/** The logits of the step that has just run. */
final class StepLogits {
  private static final int INFINITY_BITS = Float.floatToRawIntBits(Float.POSITIVE_INFINITY);

  private final Executable executable;
  private final Slot slot;
  private final float[] row;

  StepLogits(Executable executable, Slot slot) {
    this.executable = executable;
    this.slot = slot;
    row = new float[slot.width()];
  }

  /** Row {@code output}, in an array that the next call overwrites and the caller may change. */
  float[] read(int output) {
    read(output, row);
    return row;
  }

  /**
   * Copies row {@code output}.
   *
   * @throws JacquardException if a value is NaN or infinite
   */
  void read(int output, float[] target) {
    executable.read(slot, output, target, 0);
    requireFinite(target);
  }

  private static void requireFinite(float[] logits) {
    int largest = 0;
    for (float logit : logits) { // a maximum of integers, which the JIT compiles to vectors
      largest = Math.max(largest, Float.floatToRawIntBits(logit) & Integer.MAX_VALUE);
    }
    if (largest >= INFINITY_BITS) {
      int id = 0;
      while (Float.isFinite(logits[id])) {
        id++;
      }
      throw new JacquardException(
          "the model computed a logit of "
              + logits[id]
              + " for token "
              + id
              + ": its weights are damaged (scan the file's values) or overflow the key/value cache"
              + " (use a cache of 32-bit floats)");
    }
  }
}
