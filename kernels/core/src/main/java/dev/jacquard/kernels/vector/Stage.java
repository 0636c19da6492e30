package dev.jacquard.kernels.vector;

/** A part of a step that starts when all earlier parts are finished. */
interface Stage {
  /** Runs it, on the threads of the step's pool where that pays. */
  void run(Step step);
}
