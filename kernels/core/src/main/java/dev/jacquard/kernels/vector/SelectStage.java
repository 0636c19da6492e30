package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.StepInputs;

/** {@link Op.SelectPages}: which rows get a list, by the class of their sequence. */
final class SelectStage implements Stage {
  private final Op.SelectPages op;
  private final float[] query;
  private final PageSelection out;
  private final Selections selections;
  private final AttentionBlocks keys;

  SelectStage(
      Op.SelectPages op,
      float[] query,
      PageSelection out,
      Selections selections,
      AttentionBlocks keys) {
    this.keys = keys;
    this.op = op;
    this.query = query;
    this.out = out;
    this.selections = selections;
  }

  @Override
  public void run(Step step) {
    out.clear();
    selections.certified().begin();
    StepInputs inputs = step.inputs();
    for (int first = 0; first < inputs.rows(); ) {
      int end = first + 1;
      while (end < inputs.rows() && inputs.sequence(end) == inputs.sequence(first)) {
        end++;
      }
      select(step, first, end - first);
      first = end;
    }
  }

  private void select(Step step, int first, int count) {
    boolean one = count == 1;
    boolean sketched = step.kv().sketched(op.layer());
    switch (step.inputs().exactness(step.inputs().sequence(first))) {
      case Exactness.Dense _ -> {}
      case Exactness.Budgeted(double coverage, double _) when one && sketched -> {
        selections.row().begin(step, op, query, first);
        selections.budgeted().select(out, coverage, step.pool());
      }
      case Exactness.Budgeted(double _, double coverage) when sketched && coverage < 1 ->
          selectBlocks(step, first, count, coverage);
      case Exactness.Budgeted _ -> {}
      case Exactness.Verified wanted when one && sketched -> {
        selections.row().begin(step, op, query, first);
        selections.budgeted().audit(out, wanted, step.pool());
      }
      case Exactness.Verified _ -> {}
      case Exactness.Certified(double epsilon) when one -> {
        selections.row().begin(step, op, query, first);
        selections.certified().select(out, epsilon, keys, step.pool());
      }
      case Exactness.Certified _ -> {}
    }
  }

  private void selectBlocks(Step step, int first, int count, double coverage) {
    StepInputs inputs = step.inputs();
    BlockSelection blocks = selections.blocks();
    blocks.begin();
    int row = first;
    while (row < first + count) {
      int start = row;
      int block = inputs.position(start) / BlockSelection.ROWS;
      while (row < first + count && inputs.position(row) / BlockSelection.ROWS == block) {
        row++;
      }
      if (inputs.position(start) >= BlockSelection.FIRST_POSITION) {
        blocks.add(step, op, query, out, start, row - start);
      }
    }
    blocks.select(coverage, step.pool());
  }
}
