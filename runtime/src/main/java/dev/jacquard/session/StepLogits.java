package dev.jacquard.session;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.Slot;

/** What the step that has just run brought; engine thread. */
final class StepLogits {
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

  /** What the head computed for output row {@code output}. */
  HeadReport.Row head(int output) {
    return executable.head().row(output);
  }

  /** Computes the logits that the rules of the step left out. */
  void complete() {
    executable.completeHead();
  }

  /** What attention read for row {@code row} of the step. */
  AttentionReport.Row attention(int row) {
    return executable.attention().row(row);
  }

  /** Copies row {@code output}. */
  void read(int output, float[] target) {
    executable.read(slot, output, target, 0);
  }
}
