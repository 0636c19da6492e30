package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.OpSupport;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.parallel.WorkerPool;

/**
 * The truth that other backends are compared with: plain loops that expand weights to float32 with
 * the formats' own decoders, sum in double in ascending order, and round each result to float32
 * once. It reads weights where they are mapped and keeps no copy of them.
 */
public final class ReferenceBackend implements Backend {
  static final String NAME = "reference";

  private final WorkerPool pool;

  /** Starts the threads. */
  public ReferenceBackend(BackendOptions options) {
    pool = new WorkerPool(options.threads());
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public String description() {
    return "scalar Java, sums in double, " + pool.threads() + " threads";
  }

  @Override
  public OpSupport support(Op op) {
    return OpSupport.by("scalar, sums in double");
  }

  @Override
  public Executable compile(Program program, CompileOptions options) {
    return new ReferenceExecutable(program, options, pool);
  }

  @Override
  public KvStorage allocateKv(KvSpec spec, KvFormat format) {
    return ReferenceKvStorage.allocate(spec, format);
  }

  @Override
  public void close() {
    pool.close();
  }
}
