package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.FeedForwardReport;
import dev.jacquard.kernels.NeuronLimits;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronRule.Magnitude;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Slot.Domain;

/**
 * A feed-forward layer whose rows may leave neurons out. Rows with all neurons are computed
 * together by the dense stages, which read the weights once for all of them and so may as well
 * compute the other rows too; rows with another rule follow, each by itself.
 */
final class FeedForwardStage implements Stage {
  private final Op.FeedForward op;
  private final Domain domain;
  private final Stage[] dense;
  private final PrunedRow pruned;
  private final FeedForwardReport report;
  private final long denseBytes;

  /**
   * A layer.
   *
   * @param dense compute all rows with all neurons, from prepared activations
   * @param denseBytes bytes of weights that they read
   */
  FeedForwardStage(
      Op.FeedForward op,
      Stage[] dense,
      PrunedRow pruned,
      FeedForwardReport report,
      long denseBytes) {
    this.op = op;
    this.domain = op.in().domain();
    this.dense = dense;
    this.pruned = pruned;
    this.report = report;
    this.denseBytes = denseBytes;
  }

  @Override
  public void run(Step step) {
    int rows = step.rows(domain);
    boolean anyDense = false;
    for (int i = 0; i < rows; i++) {
      anyDense |= leavesNothingOut(rule(step, i));
    }
    if (anyDense) {
      for (Stage stage : dense) {
        stage.run(step);
      }
    }
    for (int i = 0; i < rows; i++) {
      NeuronRule rule = rule(step, i);
      if (leavesNothingOut(rule)) {
        report.add(row(step, i), op.neurons(), op.neurons(), denseBytes, denseBytes);
      } else {
        long bytes = pruned.run(step, i, rule);
        report.add(row(step, i), pruned.count(), op.neurons(), bytes, denseBytes);
      }
    }
  }

  private int row(Step step, int i) {
    return domain == Domain.ALL ? i : step.inputs().outputRow(i);
  }

  private NeuronRule rule(Step step, int i) {
    return step.inputs().neurons(step.inputs().sequence(row(step, i)));
  }

  private boolean leavesNothingOut(NeuronRule rule) {
    return switch (rule) {
      case NeuronRule.All _ -> true;
      case NeuronRule.Listed(NeuronSet set) -> set.count(op.layer()) == op.neurons();
      case NeuronRule.Above(Magnitude _, NeuronLimits limits) -> !limits.leavesOut(op.layer());
    };
  }
}
