package dev.jacquard.kernels.vector;

/** Work on single rows that needs nothing from other rows of its slots. */
interface RowKernel {
  /** Called once a step, before any row is computed. */
  default void begin(Step step) {}

  /**
   * Computes rows {@code from} to {@code to} − 1. {@code from} is a multiple of {@link
   * Activations#PANEL}.
   *
   * @param thread index for buffers, see {@link dev.jacquard.kernels.parallel.WorkerPool.Task}
   */
  void run(Step step, int from, int to, int thread);
}
