package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.testing.BackendContract;
import dev.jacquard.kernels.testing.ErrorBounds;
import dev.jacquard.kernels.testing.OpCase;
import dev.jacquard.kernels.testing.Results;

/** The reference itself is compared with a computation of its own kind, in double throughout. */
class ReferenceBackendTest extends BackendContract {
  @Override
  protected Backend open(BackendOptions options) {
    return new ReferenceBackend(options);
  }

  @Override
  protected double bound(Op op) {
    // Gate, up and their product are rounded to float one after the other.
    return op instanceof Op.FeedForward ? ErrorBounds.FLOAT : ErrorBounds.EXACT;
  }

  @Override
  protected Results truth(OpCase test) {
    return new NaiveProgram(test).results();
  }
}
