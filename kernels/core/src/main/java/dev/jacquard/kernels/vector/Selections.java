package dev.jacquard.kernels.vector;

/** What the {@link SelectStage}s of an executable share; one of them runs at a time. */
final class Selections {
  private final SelectionRow row = new SelectionRow();
  private final BudgetedSelection budgeted;
  private final CertifiedSelection certified;
  private final BlockSelection blocks;

  Selections(int threads, AttentionWorkspace workspace) {
    budgeted = new BudgetedSelection(row, threads);
    certified = new CertifiedSelection(row, threads, workspace);
    blocks = new BlockSelection(threads);
  }

  /** The row that is chosen for. */
  SelectionRow row() {
    return row;
  }

  BudgetedSelection budgeted() {
    return budgeted;
  }

  CertifiedSelection certified() {
    return certified;
  }

  BlockSelection blocks() {
    return blocks;
  }
}
