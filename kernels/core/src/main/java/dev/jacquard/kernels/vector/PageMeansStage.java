package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;

/**
 * Brings the page means of a layer up to date after its rows are written: once for each page that
 * the step wrote to, each head on its own.
 */
final class PageMeansStage implements Stage, WorkerPool.Task {
  /** Means that one thread computes sooner than it wakes another. */
  private static final int WORTH_SHARING = 16;

  private final Step step;
  private final int layer;
  private final int heads;
  private final int[] pages;
  private final int[] tokens;

  /**
   * @param layer without a window
   * @param heads key/value heads
   */
  PageMeansStage(Step step, int layer, int heads, int maxRows) {
    this.step = step;
    this.layer = layer;
    this.heads = heads;
    pages = new int[maxRows];
    tokens = new int[maxRows];
  }

  @Override
  public void run(Step step) {
    if (!(step.kv() instanceof Q8KvStorage)) {
      return;
    }
    int items = heads * collectPages(step.inputs(), step.kv().group(layer));
    if (items < WORTH_SHARING) {
      run(0, items, 0);
    } else {
      step.pool().run(items, 1, this);
    }
  }

  /** Rows of a page stand together, in the order of their offsets. */
  private int collectPages(StepInputs inputs, int group) {
    int count = 0;
    for (int row = 0; row < inputs.rows(); row++) {
      int page = inputs.writePage(group, row);
      if (count == 0 || page != pages[count - 1]) {
        pages[count++] = page;
      }
      tokens[count - 1] = inputs.writeOffset(group, row) + 1;
    }
    return count;
  }

  @Override
  public void run(int from, int to, int thread) {
    Q8KvStorage kv = (Q8KvStorage) step.kv();
    for (int item = from; item < to; item++) {
      kv.summarise(layer, pages[item / heads], item % heads, tokens[item / heads]);
    }
  }
}
