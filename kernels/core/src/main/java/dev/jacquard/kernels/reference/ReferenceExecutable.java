package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.FeedForwardReport;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.tensor.Tensor;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A program that is interpreted op by op. Slots are row-major arrays. */
final class ReferenceExecutable implements Executable {
  /** No slice: rows read all that they see. */
  private static final PageSelection EVERYTHING = new PageSelection();

  private final Program program;
  private final CompileOptions options;
  private final Map<Slot, float[]> slots = new HashMap<>();

  private final Product product;
  private final FeedForwardLayer feedForward;
  private final OutputHead head;
  private final PageSelector selector;
  private final ScalarAttention attention;
  private final Map<PageList, PageSelection> selections = new HashMap<>();
  private final AttentionReport report;
  private int outputs;
  private boolean closed;

  ReferenceExecutable(Program program, CompileOptions options, WorkerPool pool) {
    this.program = program;
    this.options = options;
    for (Slot slot : program.slots()) {
      slots.put(slot, allocate(slot.toString(), maxRows(slot), slot.width()));
    }
    report = new AttentionReport(options.maxRows());
    product = new Product(program, pool);
    feedForward = new FeedForwardLayer(program, options, product);
    head = new OutputHead(program, options, product);
    for (Op op : program.ops()) {
      if (op instanceof Op.SelectPages o) {
        selections.put(o.out(), new PageSelection());
      }
    }
    selector = new PageSelector(pool);
    attention = new ScalarAttention(pool);
  }

  static float[] allocate(String what, int rows, int width) {
    long size = (long) rows * width;
    try {
      return new float[Math.toIntExact(size)];
    } catch (OutOfMemoryError | ArithmeticException e) {
      throw new BackendException(
          "no memory for "
              + size
              + " numbers of "
              + what
              + "; compile for fewer rows or outputs, or give the JVM a larger heap",
          e);
    }
  }

  private int maxRows(Slot slot) {
    return switch (slot.domain()) {
      case ALL -> options.maxRows();
      case OUTPUT -> options.maxOutputs();
    };
  }

  private static int rows(Slot slot, StepInputs inputs) {
    return switch (slot.domain()) {
      case ALL -> inputs.rows();
      case OUTPUT -> inputs.outputs();
    };
  }

  @Override
  public void run(StepInputs inputs, KvStorage kv, @Nullable Observer observer) {
    ReferenceKvStorage storage = check(inputs, kv);
    report.clear(inputs.rows());
    outputs = inputs.outputs();
    feedForward.report().clear(inputs.rows());
    try {
      List<Op> ops = program.ops();
      for (int i = 0; i < ops.size(); i++) {
        run(ops.get(i), inputs, storage);
        if (observer != null) {
          observer.after(i, ops.get(i));
        }
      }
    } catch (InternalError e) {
      throw new BackendException(
          "weights could not be read: the mapped file was shortened, or its disk failed", e);
    }
  }

  private ReferenceKvStorage check(StepInputs inputs, KvStorage kv) {
    if (closed) {
      throw new IllegalStateException("the executable is closed");
    }
    if (inputs.rows() > options.maxRows() || inputs.outputs() > options.maxOutputs()) {
      throw new IllegalArgumentException(
          "a step of %d rows and %d outputs; compiled for %d and %d"
              .formatted(inputs.rows(), inputs.outputs(), options.maxRows(), options.maxOutputs()));
    }
    if (!(kv instanceof ReferenceKvStorage storage) || !kv.spec().equals(program.kv())) {
      throw new IllegalArgumentException("the storage is of another backend or program: " + kv);
    }
    for (int s = 0; s < inputs.sequences(); s++) {
      if (kv.format() != KvFormat.Q8 && !(inputs.exactness(s) instanceof Exactness.Dense)) {
        throw new IllegalArgumentException(
            "sequence %d asks for %s, which reads a cache in %s; this one is in %s: keep keys and values in %s, or ask for DENSE"
                .formatted(s, inputs.exactness(s), KvFormat.Q8, kv.format(), KvFormat.Q8));
      }
    }
    return storage;
  }

  private void run(Op op, StepInputs inputs, ReferenceKvStorage kv) {
    switch (op) {
      case Op.Embed o -> embed(o, inputs);
      case Op.RmsNorm o -> rmsNorm(o, rows(o.in(), inputs));
      case Op.MatMul(Slot in, List<Op.Projection> projections) -> {
        for (Op.Projection p : projections) {
          product.multiply(array(in), rows(in, inputs), p.linear(), array(p.out()));
        }
      }
      case Op.Rope o -> rope(o, inputs);
      case Op.WriteKv o -> writeKv(o, inputs, kv);
      case Op.SelectPages o -> selectPages(o, inputs, kv);
      case Op.Attention o -> attend(o, inputs, kv);
      case Op.FeedForward o ->
          feedForward.run(o, inputs, array(o.in()), array(o.hidden()), array(o.out()));
      case Op.Head o -> head.run(o, inputs, array(o.in()), array(o.out()));
      case Op.Add(Slot a, Slot b, Slot out) ->
          add(array(a), array(b), array(out), rows(out, inputs) * out.width());
      case Op.SelectRows(Slot in, Slot out) -> {
        for (int i = 0; i < inputs.outputs(); i++) {
          int from = inputs.outputRow(i) * in.width();
          System.arraycopy(array(in), from, array(out), i * out.width(), out.width());
        }
      }
    }
  }

  private float[] array(Slot slot) {
    float[] array = slots.get(slot);
    if (array == null) {
      throw new IllegalArgumentException("no slot of this program: " + slot);
    }
    return array;
  }

  private void embed(Op.Embed op, StepInputs inputs) {
    Tensor table = op.table().tensor();
    int width = op.out().width();
    float[] out = array(op.out());
    for (int r = 0; r < inputs.rows(); r++) {
      int token = inputs.token(r);
      if (token < 0 || token >= table.rows()) {
        throw new IllegalArgumentException(
            "row " + r + " has token " + token + "; there are " + table.rows());
      }
      table.decodeRow(token, out, r * width);
      for (int i = r * width; i < (r + 1) * width; i++) {
        out[i] *= op.scale();
      }
    }
  }

  private void rmsNorm(Op.RmsNorm op, int n) {
    float[] weight = Product.decode(op.weight());
    float[] in = array(op.in());
    float[] out = array(op.out());
    int size = weight.length;
    int groups = n * (op.in().width() / size);
    for (int g = 0; g < groups; g++) {
      double squares = 0;
      for (int i = 0; i < size; i++) {
        double x = in[g * size + i];
        squares += x * x;
      }
      double factor = 1 / Math.sqrt(squares / size + op.epsilon());
      for (int i = 0; i < size; i++) {
        out[g * size + i] = (float) (in[g * size + i] * factor * weight[i]);
      }
    }
  }

  private void rope(Op.Rope op, StepInputs inputs) {
    RotaryEmbedding rotary = op.rotary();
    int pairs = rotary.frequencies().length;
    int width = op.inOut().width();
    float[] x = array(op.inOut());
    int step = rotary.pairing() == RotaryEmbedding.Pairing.NEIGHBOURS ? 2 : 1;
    int partner = rotary.pairing() == RotaryEmbedding.Pairing.NEIGHBOURS ? 1 : pairs;
    int n = rows(op.inOut(), inputs);
    for (int r = 0; r < n; r++) {
      int row = op.inOut().domain() == Slot.Domain.ALL ? r : inputs.outputRow(r);
      int position = inputs.position(row);
      for (int j = 0; j < pairs; j++) {
        double angle = position * rotary.frequencies()[j];
        double cos = Math.cos(angle) * rotary.amplitude();
        double sin = Math.sin(angle) * rotary.amplitude();
        for (int head = r * width; head < (r + 1) * width; head += op.headSize()) {
          int a = head + j * step;
          int b = a + partner;
          double xa = x[a];
          double xb = x[b];
          x[a] = (float) (xa * cos - xb * sin);
          x[b] = (float) (xa * sin + xb * cos);
        }
      }
    }
  }

  private void writeKv(Op.WriteKv op, StepInputs inputs, ReferenceKvStorage kv) {
    int group = kv.groupOf(op.layer());
    for (int r = 0; r < inputs.rows(); r++) {
      kv.write(
          op.layer(),
          inputs.writePage(group, r),
          inputs.writeOffset(group, r),
          array(op.key()),
          r * op.key().width(),
          array(op.value()),
          r * op.value().width());
      if (kv instanceof QuantizedKvStorage quantized && lastInPage(inputs, group, r)) {
        quantized.summariseLayer(
            op.layer(), inputs.writePage(group, r), inputs.writeOffset(group, r) + 1);
      }
    }
  }

  /** Whether the next row is written to another page. */
  private static boolean lastInPage(StepInputs inputs, int group, int row) {
    return row + 1 == inputs.rows()
        || inputs.writePage(group, row + 1) != inputs.writePage(group, row);
  }

  private void selectPages(Op.SelectPages op, StepInputs inputs, ReferenceKvStorage kv) {
    if (kv instanceof QuantizedKvStorage quantized) {
      selector.run(op, inputs, quantized, array(op.query()), pages(op.out()));
    } else {
      pages(op.out()).clear();
    }
  }

  private void attend(Op.Attention op, StepInputs inputs, ReferenceKvStorage kv) {
    PageSelection chosen = op.pages() == null ? EVERYTHING : pages(op.pages());
    BitSet escalated = attention.run(op, inputs, kv, chosen, array(op.query()), array(op.out()));
    new ReadingCount(op, inputs, kv, chosen, escalated, report).add();
  }

  private static void add(float[] a, float[] b, float[] out, int count) {
    for (int i = 0; i < count; i++) {
      out[i] = a[i] + b[i];
    }
  }

  @Override
  public void read(Slot slot, int row, float[] target, int offset) {
    System.arraycopy(array(slot), row * slot.width(), target, offset, slot.width());
  }

  @Override
  public void write(Slot slot, int row, float[] source, int offset) {
    System.arraycopy(source, offset, array(slot), row * slot.width(), slot.width());
  }

  @Override
  public PageSelection pages(PageList list) {
    PageSelection selection = selections.get(list);
    if (selection == null) {
      throw new IllegalArgumentException("no list of this program: " + list);
    }
    return selection;
  }

  @Override
  public AttentionReport attention() {
    return report;
  }

  @Override
  public FeedForwardReport feedForward() {
    return feedForward.report();
  }

  @Override
  public HeadReport head() {
    return head.report();
  }

  @Override
  public void completeHead() {
    for (Op op : program.ops()) {
      if (op instanceof Op.Head o) {
        head.complete(o, outputs, array(o.in()), array(o.out()));
      }
    }
  }

  @Override
  public long weightBytesPerStep() {
    long bytes = 0;
    for (Op op : program.ops()) {
      for (Weight weight : Program.weights(op)) {
        Tensor tensor = weight.tensor();
        bytes += op instanceof Op.Embed ? tensor.rowBytes() : tensor.data().byteSize();
      }
    }
    return bytes;
  }

  @Override
  public long ownBytes() {
    return 0;
  }

  @Override
  public void close() {
    closed = true;
  }
}
