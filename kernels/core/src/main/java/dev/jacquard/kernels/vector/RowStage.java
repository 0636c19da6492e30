package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.List;

/**
 * Consecutive row kernels over one domain: each thread takes some rows through all of them. A few
 * rows are computed by the calling thread, since waking others would take longer.
 */
final class RowStage implements Stage, WorkerPool.Task {
  private static final int ROWS_WORTH_SHARING = 8;

  private final Step step;
  private final Domain domain;
  private final RowKernel[] kernels;

  RowStage(Step step, Domain domain, List<RowKernel> kernels) {
    this.step = step;
    this.domain = domain;
    this.kernels = kernels.toArray(new RowKernel[0]);
  }

  @Override
  public void run(Step step) {
    int rows = step.rows(domain);
    if (rows == 0) {
      return;
    }
    for (RowKernel kernel : kernels) {
      kernel.begin(step);
    }
    if (rows < ROWS_WORTH_SHARING) {
      run(0, rows, 0);
    } else {
      step.pool().run(rows, Activations.PANEL, this);
    }
  }

  @Override
  public void run(int from, int to, int thread) {
    for (RowKernel kernel : kernels) {
      kernel.run(step, from, to, thread);
    }
  }
}
