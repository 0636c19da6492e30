package dev.jacquard.benchmarks;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.Op;

/** Adds up, over the layers of a step, the nanoseconds from one op to the next. */
final class AttentionWatch implements Executable.Observer {
  private long last;
  private long select;
  private long attend;

  @Override
  public void after(int index, Op op) {
    long now = System.nanoTime();
    if (op instanceof Op.SelectPages) {
      select += now - last;
    } else if (op instanceof Op.Attention) {
      attend += now - last;
    }
    last = System.nanoTime();
  }

  /** What the choices took. */
  long select() {
    return select;
  }

  /** What attention took. */
  long attend() {
    return attend;
  }
}
