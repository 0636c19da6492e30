package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What the stages of a step share. One per executable, set anew for each step. */
final class Step {
  private final WorkerPool pool;
  private final AttentionReport report;
  private @Nullable StepInputs inputs;
  private @Nullable SlabKvStorage kv;
  private boolean observed;

  Step(WorkerPool pool, AttentionReport report) {
    this.pool = pool;
    this.report = report;
  }

  void begin(StepInputs stepInputs, SlabKvStorage storage, boolean hasObserver) {
    observed = hasObserver;
    inputs = stepInputs;
    kv = storage;
    report.clear(stepInputs.rows());
  }

  /** Whether somebody looks at slots between ops. */
  boolean observed() {
    return observed;
  }

  WorkerPool pool() {
    return pool;
  }

  /** What attention reads, by row; written by the thread that runs the stages. */
  AttentionReport report() {
    return report;
  }

  StepInputs inputs() {
    return Objects.requireNonNull(inputs);
  }

  SlabKvStorage kv() {
    return Objects.requireNonNull(kv);
  }

  /** Rows that slots of a domain have in this step. */
  int rows(Domain domain) {
    return switch (domain) {
      case ALL -> inputs().rows();
      case OUTPUT -> inputs().outputs();
    };
  }
}
