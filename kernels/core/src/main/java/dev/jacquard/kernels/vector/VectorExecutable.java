package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.FeedForwardReport;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A program as a list of {@link Stage}s over float arrays, one for each slot. Consecutive ops that
 * treat rows on their own are one stage; an observed step runs op by op, with the same bits.
 */
final class VectorExecutable implements Executable {
  private final Program program;
  private final int maxRows;
  private final int maxOutputs;
  private final PackedMatrices matrices;
  private final Step step;
  private final Plan plan;
  private final Map<PageList, PageSelection> selections = new HashMap<>();
  private final AttentionReport report;
  private final FeedForwardReport feedForward;
  private final HeadReport head;
  private boolean closed;

  VectorExecutable(Program program, CompileOptions options, WorkerPool pool) {
    this.program = program;
    this.maxRows = options.maxRows();
    this.maxOutputs = options.maxOutputs();
    report = new AttentionReport(maxRows);
    feedForward = new FeedForwardReport(maxRows);
    head = new HeadReport(maxOutputs, program.logits().width());
    step = new Step(pool, report);
    for (Op op : program.ops()) {
      if (op instanceof Op.SelectPages o) {
        selections.put(o.out(), new PageSelection());
      }
    }
    try {
      matrices = PackedMatrices.pack(matrices(program), heads(program), options, pool);
    } catch (InternalError e) {
      throw unreadable(e);
    }
    try {
      plan = new Plan(program, options, matrices, step, selections, feedForward, head);
    } catch (RuntimeException | Error e) {
      matrices.close();
      throw e;
    }
  }

  /** The weights that are multiplied with: not embeddings, biases and norms. */
  private static List<Weight> matrices(Program program) {
    return program.ops().stream()
        .<Weight>mapMulti(
            (op, add) -> {
              switch (op) {
                case Op.MatMul o -> o.projections().forEach(p -> add.accept(p.linear().weight()));
                case Op.FeedForward o -> {
                  add.accept(o.gate().weight());
                  add.accept(o.up().weight());
                  add.accept(o.down().weight());
                }
                case Op.Head o -> add.accept(o.output().weight());
                case Op.Embed _, Op.RmsNorm _, Op.Rope _, Op.WriteKv _ -> {}
                case Op.SelectPages _, Op.Attention _, Op.Add _, Op.SelectRows _ -> {}
              }
            })
        .distinct()
        .toList();
  }

  private static List<Weight> heads(Program program) {
    return program.ops().stream()
        .flatMap(op -> op instanceof Op.Head o ? Stream.of(o.output().weight()) : Stream.empty())
        .toList();
  }

  @Override
  public void run(StepInputs inputs, KvStorage kv, @Nullable Observer observer) {
    check(inputs, kv);
    matrices.requireIntact();
    step.begin(inputs, (SlabKvStorage) kv);
    feedForward.clear(inputs.rows());
    try {
      if (observer == null) {
        run(plan.fused());
      } else {
        runObserved(observer);
      }
    } catch (InternalError e) {
      throw unreadable(e);
    }
  }

  private static BackendException unreadable(InternalError e) {
    return new BackendException(
        "weights could not be read: the mapped file was shortened, or its disk failed", e);
  }

  private void run(Stage[] stages) {
    for (Stage stage : stages) {
      stage.run(step);
    }
  }

  private void runObserved(Observer observer) {
    for (int i = 0; i < program.ops().size(); i++) {
      run(plan.stagesOf(i));
      observer.after(i, program.ops().get(i));
    }
  }

  private void check(StepInputs inputs, KvStorage kv) {
    if (closed) {
      throw new IllegalStateException("the executable is closed");
    }
    if (inputs.rows() > maxRows || inputs.outputs() > maxOutputs) {
      throw new IllegalArgumentException(
          inputs.rows()
              + " rows with "
              + inputs.outputs()
              + " outputs; compiled for "
              + maxRows
              + " with "
              + maxOutputs);
    }
    if (!(kv instanceof SlabKvStorage) || !kv.spec().equals(program.kv())) {
      throw new IllegalArgumentException(
          "the key/value storage was not allocated for this program");
    }
    for (int s = 0; s < inputs.sequences(); s++) {
      if (!(inputs.neurons(s) instanceof NeuronRule.All)) {
        throw new BackendException("this backend computes all neurons");
      }
      if (kv.format() != KvFormat.Q8 && !(inputs.exactness(s) instanceof Exactness.Dense)) {
        throw new IllegalArgumentException(
            "sequence "
                + s
                + " asks for "
                + inputs.exactness(s)
                + ", which reads a cache in Q8; this one is in "
                + kv.format()
                + ": keep keys and values in Q8, or ask for DENSE");
      }
    }
  }

  @Override
  public void read(Slot slot, int row, float[] target, int offset) {
    System.arraycopy(plan.values(slot), at(slot, row), target, offset, slot.width());
  }

  @Override
  public void write(Slot slot, int row, float[] source, int offset) {
    System.arraycopy(source, offset, plan.values(slot), at(slot, row), slot.width());
  }

  /** Where a row of the last step stands in its slot. */
  private int at(Slot slot, int row) {
    int rows = step.rows(slot.domain());
    if (row < 0 || row >= rows) {
      throw new IndexOutOfBoundsException("row " + row + " of " + slot + ", which has " + rows);
    }
    return row * slot.width();
  }

  @Override
  public PageSelection pages(PageList list) {
    PageSelection selection = selections.get(list);
    if (selection == null) {
      throw new IllegalArgumentException("the program has no " + list);
    }
    return selection;
  }

  @Override
  public AttentionReport attention() {
    return report;
  }

  @Override
  public FeedForwardReport feedForward() {
    return feedForward;
  }

  @Override
  public HeadReport head() {
    return head;
  }

  @Override
  public void completeHead() {
    if (closed) {
      throw new IllegalStateException("the executable is closed");
    }
    try {
      plan.heads().forEach(head -> head.complete(step));
    } catch (InternalError e) {
      throw unreadable(e);
    }
  }

  @Override
  public long weightBytesPerStep() {
    return plan.weightBytesPerStep();
  }

  @Override
  public long ownBytes() {
    return matrices.bytes();
  }

  @Override
  public void close() {
    closed = true;
    matrices.close();
  }
}
