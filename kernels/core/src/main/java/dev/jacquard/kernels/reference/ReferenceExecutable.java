package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
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
  private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

  /** No slice: rows read all that they see. */
  private static final PageSelection EVERYTHING = new PageSelection();

  private final Program program;
  private final CompileOptions options;
  private final WorkerPool pool;
  private final Map<Slot, float[]> slots = new HashMap<>();

  /** One expanded row of a weight for each thread. */
  private final float[][] weightRows;

  /** Results of gate and up, for all rows of a step. */
  private final float[] gate;

  private final float[] up;
  private final PageSelector selector;
  private final ScalarAttention attention;
  private final Map<PageList, PageSelection> selections = new HashMap<>();
  private final AttentionReport report;
  private boolean closed;

  ReferenceExecutable(Program program, CompileOptions options, WorkerPool pool) {
    this.program = program;
    this.options = options;
    this.pool = pool;
    for (Slot slot : program.slots()) {
      slots.put(slot, allocate(slot.toString(), maxRows(slot), slot.width()));
    }
    report = new AttentionReport(options.maxRows());
    for (Op op : program.ops()) {
      if (op instanceof Op.SelectPages o) {
        selections.put(o.out(), new PageSelection());
      }
    }
    int hidden = 0;
    for (Op op : program.ops()) {
      if (op instanceof Op.FeedForward ffn) {
        hidden = Math.max(hidden, ffn.hidden());
      }
    }
    int rows = Math.max(options.maxRows(), options.maxOutputs());
    gate = allocate("gate", rows, hidden);
    up = allocate("up", rows, hidden);
    int columns = program.weights().stream().mapToInt(Weight::columns).max().orElse(0);
    weightRows = new float[pool.threads()][columns];
    selector = new PageSelector(pool);
    attention = new ScalarAttention(pool);
  }

  private static float[] allocate(String what, int rows, int width) {
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
          multiply(array(in), rows(in, inputs), p.linear(), array(p.out()));
        }
      }
      case Op.Rope o -> rope(o, inputs);
      case Op.WriteKv o -> writeKv(o, inputs, kv);
      case Op.SelectPages o -> selectPages(o, inputs, kv);
      case Op.Attention o -> attend(o, inputs, kv);
      case Op.FeedForward o -> feedForward(o, rows(o.in(), inputs));
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
    float[] weight = decode(op.weight());
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

  /** All values of a vector. */
  private static float[] decode(Weight vector) {
    Tensor tensor = vector.tensor();
    float[] values = new float[tensor.rows() * tensor.columns()];
    for (int r = 0; r < tensor.rows(); r++) {
      tensor.decodeRow(r, values, r * tensor.columns());
    }
    return values;
  }

  /** {@code y = W·x + b} for {@code n} rows; each row of W is expanded once. */
  private void multiply(float[] x, int n, Op.Linear linear, float[] y) {
    if (n == 0) {
      return;
    }
    Tensor matrix = linear.weight().tensor();
    float[] bias = linear.bias() == null ? null : decode(linear.bias());
    int outputs = matrix.rows();
    int grain = Math.max(1, outputs / (8 * pool.threads()));
    pool.run(
        outputs,
        grain,
        (from, to, thread) -> {
          float[] row = weightRows[thread];
          for (int o = from; o < to; o++) {
            matrix.decodeRow(o, row, 0);
            double b = bias == null ? 0 : bias[o];
            multiplyRow(row, matrix.columns(), x, n, b, y, o, outputs);
          }
        });
  }

  /**
   * One output for all rows. Four rows go side by side, because a single sum waits for each of its
   * additions; the order within a sum is the same. (A product of two floats is exact in double.)
   */
  private static void multiplyRow(
      float[] w, int columns, float[] x, int n, double bias, float[] y, int output, int stride) {
    int r = 0;
    for (; r + 4 <= n; r += 4) {
      int x0 = r * columns;
      int x1 = x0 + columns;
      int x2 = x1 + columns;
      int x3 = x2 + columns;
      double s0 = 0;
      double s1 = 0;
      double s2 = 0;
      double s3 = 0;
      for (int i = 0; i < columns; i++) {
        double wi = w[i];
        s0 += wi * x[x0 + i];
        s1 += wi * x[x1 + i];
        s2 += wi * x[x2 + i];
        s3 += wi * x[x3 + i];
      }
      y[r * stride + output] = (float) (s0 + bias);
      y[(r + 1) * stride + output] = (float) (s1 + bias);
      y[(r + 2) * stride + output] = (float) (s2 + bias);
      y[(r + 3) * stride + output] = (float) (s3 + bias);
    }
    for (; r < n; r++) {
      double sum = 0;
      for (int i = 0; i < columns; i++) {
        sum += (double) w[i] * x[r * columns + i];
      }
      y[r * stride + output] = (float) (sum + bias);
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

  private void feedForward(Op.FeedForward op, int n) {
    float[] in = array(op.in());
    multiply(in, n, op.gate(), gate);
    multiply(in, n, op.up(), up);
    int count = n * op.hidden();
    for (int i = 0; i < count; i++) {
      gate[i] = (float) (activate(op.activation(), gate[i]) * up[i]);
    }
    multiply(gate, n, op.down(), array(op.out()));
  }

  private static double activate(Op.Activation activation, double x) {
    return switch (activation) {
      case SILU -> x / (1 + Math.exp(-x));
      case GELU_TANH -> 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
    };
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
