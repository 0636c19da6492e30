package dev.jacquard.session;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Executable;
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

  /** What attention read for row {@code row} of the step. */
  AttentionReport.Row attention(int row) {
    return executable.attention().row(row);
  }

  /** Copies row {@code output}. */
  void read(int output, float[] target) {
    executable.read(slot, output, target, 0);
  }
}
