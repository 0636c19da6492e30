package dev.jacquard.session;

import com.sun.management.ThreadMXBean;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.OpSupport;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.testing.ForwardingExecutable;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A real backend, of which a test sees each step, and which fails when the test says so. */
final class WatchedBackend implements Backend {
  /** Rows that one sequence had in a step. */
  record Part(int firstPosition, int rows, int outputs) {}

  /** For each step the parts of its sequences. */
  final List<List<Part>> steps = new ArrayList<>();

  /** Fails the next step after spoiling all keys and values, as a real device might. */
  boolean failNextStep;

  /** Makes the next logits that are read hold a NaN. */
  boolean spoilNextLogits;

  /** Bytes of heap that steps and this recorder allocated in the thread that runs them. */
  long allocated;

  /** Fails when a program is to be compiled. */
  boolean refuseToCompile;

  /** Whether it was closed. */
  boolean closed;

  private final Backend backend;

  WatchedBackend(Backend backend) {
    this.backend = backend;
  }

  @Override
  public String name() {
    return backend.name();
  }

  @Override
  public String description() {
    return backend.description();
  }

  @Override
  public OpSupport support(Op op) {
    return backend.support(op);
  }

  @Override
  public Executable compile(Program program, CompileOptions options) {
    if (refuseToCompile) {
      throw new BackendException("no");
    }
    return new WatchedExecutable(backend.compile(program, options));
  }

  @Override
  public KvStorage allocateKv(KvSpec spec, KvFormat format) {
    return backend.allocateKv(spec, format);
  }

  @Override
  public void close() {
    closed = true;
    backend.close();
  }

  private final class WatchedExecutable extends ForwardingExecutable {
    WatchedExecutable(Executable executable) {
      super(executable);
    }

    @Override
    public void run(StepInputs inputs, KvStorage kv, @Nullable Observer observer) {
      long before = allocatedByThread();
      steps.add(parts(inputs));
      if (failNextStep) {
        failNextStep = false;
        for (int group = 0; group < kv.spec().groupWindows().size(); group++) {
          for (int page = 1; page < kv.pages(group); page++) {
            kv.copyPage(group, 0, page, KvStorage.PAGE_TOKENS);
          }
        }
        throw new BackendException("the device is gone");
      }
      super.run(inputs, kv, observer);
      allocated += allocatedByThread() - before;
    }

    @Override
    public void read(Slot slot, int row, float[] target, int offset) {
      super.read(slot, row, target, offset);
      if (spoilNextLogits) {
        spoilNextLogits = false;
        target[offset + 17] = Float.NaN;
      }
    }
  }

  /** Bytes of heap that the calling thread has allocated so far. */
  static long allocatedByThread() {
    return ManagementFactory.getPlatformMXBean(ThreadMXBean.class).getCurrentThreadAllocatedBytes();
  }

  /** Also checks that rows of a sequence stand together in ascending position. */
  private static List<Part> parts(StepInputs inputs) {
    List<Part> parts = new ArrayList<>();
    int output = 0;
    for (int row = 0; row < inputs.rows(); ) {
      int first = row;
      int outputs = 0;
      while (row < inputs.rows() && inputs.sequence(row) == inputs.sequence(first)) {
        if (inputs.position(row) != inputs.position(first) + row - first) {
          throw new AssertionError("row " + row + " is out of order");
        }
        if (output < inputs.outputs() && inputs.outputRow(output) == row) {
          output++;
          outputs++;
        }
        row++;
      }
      parts.add(new Part(inputs.position(first), row - first, outputs));
    }
    if (parts.size() != inputs.sequences()) {
      throw new AssertionError("rows of a sequence do not stand together");
    }
    return parts;
  }
}
