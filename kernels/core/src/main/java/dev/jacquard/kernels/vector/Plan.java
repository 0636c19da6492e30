package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.FeedForwardReport;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.Weight;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Turns ops into stages, and owns the buffers that the stages work on. */
final class Plan {
  /** What an op becomes: a kernel over rows, which can be joined to its neighbours, or a stage. */
  private sealed interface Part {
    record Rows(Domain domain, RowKernel kernel) implements Part {}

    record Whole(Stage stage) implements Part {}
  }

  private static final PageSelection NOTHING = new PageSelection();

  private final Step step;
  private final CompileOptions options;
  private final PackedMatrices matrices;
  private final Map<Slot, float[]> slots = new HashMap<>();
  private final Map<RotaryEmbedding, RotaryTable> rotaryTables = new HashMap<>();
  private final Activations x;
  private final float[][] upValues;
  private final float[][] chains;
  private final AttentionWorkspace attention;
  private final Map<PageList, PageSelection> selections;
  private final FeedForwardReport feedForward;
  private final HeadReport head;
  private final Selections choosing;
  private final ListAttention.Workspace lists;
  private final BlockAttention.Workspace blockLists = new BlockAttention.Workspace();
  private final List<HeadStage> heads = new ArrayList<>();
  private final Stage[] fused;
  private final Stage[][] byOp;
  private final long weightBytesPerStep;

  Plan(
      Program program,
      CompileOptions options,
      PackedMatrices matrices,
      Step step,
      Map<PageList, PageSelection> selections,
      FeedForwardReport feedForward,
      HeadReport head) {
    this.step = step;
    this.feedForward = feedForward;
    this.head = head;
    this.selections = selections;
    this.options = options;
    this.matrices = matrices;
    int threads = step.pool().threads();
    for (Slot slot : program.slots()) {
      slots.put(slot, new float[Math.multiplyExact(capacity(slot.domain()), slot.width())]);
    }
    upValues = new float[threads][0];
    chains = new float[threads][VectorMath.CHAINS];
    x = activations(program);
    attention = attentionWorkspace(program, threads);
    choosing = new Selections(threads, attention);
    lists = new ListAttention.Workspace(threads);
    List<List<Part>> parts = new ArrayList<>();
    for (Op op : program.ops()) {
      parts.add(parts(op, program.kv()));
    }
    // Tables of the step's positions come before anything that turns by them.
    List<Part> tables = new ArrayList<>();
    rotaryTables.values().forEach(table -> tables.add(new Part.Rows(Domain.ALL, table)));
    parts.getFirst().addAll(0, tables);
    fused = join(parts.stream().flatMap(Collection::stream).toList());
    byOp = parts.stream().map(this::join).toArray(Stage[][]::new);
    weightBytesPerStep = program.ops().stream().mapToLong(this::bytesRead).sum();
  }

  /** All ops, joined where rows allow it. */
  Stage[] fused() {
    return fused;
  }

  /** Op {@code index} alone. */
  Stage[] stagesOf(int index) {
    return byOp[index];
  }

  /** The stages of output heads. */
  List<HeadStage> heads() {
    return heads;
  }

  /** The buffer of a slot. */
  float[] values(Slot slot) {
    float[] values = slots.get(slot);
    if (values == null) {
      throw new IllegalArgumentException("the program has no " + slot);
    }
    return values;
  }

  long weightBytesPerStep() {
    return weightBytesPerStep;
  }

  private int capacity(Domain domain) {
    return switch (domain) {
      case ALL -> options.maxRows();
      case OUTPUT -> options.maxOutputs();
    };
  }

  private Activations activations(Program program) {
    int columns = 0;
    for (Op op : program.ops()) {
      switch (op) {
        case Op.MatMul o -> columns = Math.max(columns, o.in().width());
        case Op.FeedForward o -> columns = Math.max(columns, Math.max(o.in().width(), o.neurons()));
        case Op.Head o -> columns = Math.max(columns, o.in().width());
        case Op.Embed _, Op.RmsNorm _, Op.Rope _, Op.WriteKv _, Op.SelectPages _ -> {}
        case Op.Attention _, Op.Add _, Op.SelectRows _ -> {}
      }
    }
    return new Activations(Math.max(options.maxRows(), options.maxOutputs()), Math.max(1, columns));
  }

  private static AttentionWorkspace attentionWorkspace(Program program, int threads) {
    int queries = 0;
    int keySize = 0;
    int valueStride = 0;
    for (Op op : program.ops()) {
      if (op instanceof Op.Attention a) {
        KvSpec.Layer layer = program.kv().layers().get(a.layer());
        queries = Math.max(queries, AttentionStage.tileQueries(a.heads() / layer.heads()));
        queries = Math.max(queries, BlockAttention.ROWS);
        keySize = Math.max(keySize, layer.keySize());
        valueStride = Math.max(valueStride, Q8ValueKernels.filled(layer.valueSize()));
      }
    }
    return new AttentionWorkspace(threads, queries, keySize, valueStride);
  }

  private Stage[] join(List<Part> parts) {
    List<Stage> stages = new ArrayList<>();
    List<RowKernel> rows = new ArrayList<>();
    Domain domain = Domain.ALL;
    for (Part part : parts) {
      switch (part) {
        case Part.Rows(Domain d, RowKernel kernel) -> {
          if (d != domain) {
            flush(stages, rows, domain);
            domain = d;
          }
          rows.add(kernel);
        }
        case Part.Whole(Stage stage) -> {
          flush(stages, rows, domain);
          stages.add(stage);
        }
      }
    }
    flush(stages, rows, domain);
    return stages.toArray(new Stage[0]);
  }

  private void flush(List<Stage> stages, List<RowKernel> rows, Domain domain) {
    if (!rows.isEmpty()) {
      stages.add(new RowStage(step, domain, rows));
      rows.clear();
    }
  }

  private List<Part> parts(Op op, KvSpec kv) {
    List<Part> parts = new ArrayList<>();
    switch (op) {
      case Op.Embed o ->
          parts.add(
              rows(o.out(), new RowKernels.Embed(o.table().tensor(), o.scale(), of(o.out()))));
      case Op.RmsNorm o ->
          parts.add(
              rows(
                  o.out(),
                  new RowKernels.Norm(
                      of(o.in()),
                      o.in().width(),
                      vector(o.weight()),
                      o.epsilon(),
                      of(o.out()),
                      chains)));
      case Op.MatMul o -> multiply(o, parts);
      case Op.Rope o ->
          parts.add(
              rows(
                  o.inOut(),
                  new RotaryTable.Rotate(
                      rotaryTables.computeIfAbsent(
                          o.rotary(), r -> new RotaryTable(r, options.maxRows())),
                      of(o.inOut()),
                      o.inOut().domain(),
                      o.inOut().width(),
                      o.headSize())));
      case Op.WriteKv o -> {
        parts.add(
            allRows(
                o.key(),
                new RowKernels.WriteKv(
                    o.layer(), of(o.key()), o.key().width(), of(o.value()), o.value().width())));
        KvSpec.Layer layer = kv.layers().get(o.layer());
        if (layer.window() == 0) {
          parts.add(
              new Part.Whole(
                  new PageMeansStage(step, o.layer(), layer.heads(), options.maxRows())));
        }
      }
      case Op.SelectPages o ->
          parts.add(
              new Part.Whole(
                  new SelectStage(
                      o,
                      of(o.query()),
                      selection(o.out()),
                      choosing,
                      new Q8Blocks(step, o.layer(), kv.layers().get(o.layer())))));
      case Op.Attention o -> attend(o, kv.layers().get(o.layer()), parts);
      case Op.FeedForward o -> feedForward(o, parts);
      case Op.Add o ->
          parts.add(
              rows(
                  o.out(), new RowKernels.Add(of(o.a()), of(o.b()), o.out().width(), of(o.out()))));
      case Op.SelectRows o ->
          parts.add(rows(o.out(), new RowKernels.Select(of(o.in()), o.in().width(), of(o.out()))));
      case Op.Head o -> head(o, parts);
    }
    return parts;
  }

  private void attend(Op.Attention op, KvSpec.Layer layer, List<Part> parts) {
    float[] query = of(op.query());
    float[] out = of(op.out());
    PageSelection selection = op.pages() == null ? NOTHING : selection(op.pages());
    if (op.pages() != null) {
      parts.add(
          new Part.Whole(
              new ListAttention(step, op, layer, selection, query, out, lists, attention)));
      parts.add(
          new Part.Whole(
              new BlockAttention(step, op, layer, selection, query, out, attention, blockLists)));
    }
    parts.add(
        new Part.Whole(new AttentionStage(step, op, layer, selection, query, out, attention)));
  }

  private PageSelection selection(PageList list) {
    PageSelection selection = selections.get(list);
    if (selection == null) {
      throw new BackendException(list + " is read before it is written");
    }
    return selection;
  }

  private void multiply(Op.MatMul op, List<Part> parts) {
    Domain domain = op.in().domain();
    List<MatMulStage.Product> products = new ArrayList<>();
    for (Op.Projection p : op.projections()) {
      products.add(product(p.linear(), of(p.out())));
    }
    parts.add(prepare(of(op.in()), op.in().width(), domain));
    parts.add(new Part.Whole(new MatMulStage(domain, x, products)));
  }

  private void feedForward(Op.FeedForward op, List<Part> parts) {
    Domain domain = op.in().domain();
    PackedMatrix up = matrix(op.up());
    float[] hidden = of(op.hidden());
    MatMulStage.Product gate = product(op.gate(), hidden);
    MatMulStage.Product down = product(op.down(), of(op.out()));
    parts.add(prepare(of(op.in()), op.in().width(), domain));
    parts.add(
        new Part.Whole(
            new GateStage(domain, x, gate, up, bias(op.up()), op.activation(), upValues)));
    parts.add(prepare(hidden, op.neurons(), domain));
    parts.add(new Part.Whole(new MatMulStage(domain, x, List.of(down))));
    long bytes = bytesRead(op);
    parts.add(
        new Part.Whole(
            step -> {
              for (int i = 0; i < step.rows(domain); i++) {
                int row = domain == Domain.ALL ? i : step.inputs().outputRow(i);
                feedForward.add(row, op.neurons(), op.neurons(), bytes, bytes);
              }
            }));
  }

  private void head(Op.Head op, List<Part> parts) {
    Domain domain = op.in().domain();
    Weight weight = op.output().weight();
    parts.add(prepare(of(op.in()), op.in().width(), domain));
    HeadStage stage =
        new HeadStage(
            domain,
            x,
            product(op.output(), of(op.out())),
            matrices.plane(weight),
            new GatheredRows(weight.tensor(), step.pool().threads()),
            bytesRead(op.output()),
            head);
    heads.add(stage);
    parts.add(new Part.Whole(stage));
  }

  private Part prepare(float[] in, int width, Domain domain) {
    return new Part.Rows(domain, new RowKernels.Prepare(in, width, domain, x));
  }

  /** A kernel that reads what a step says about each of its rows. */
  private static Part allRows(Slot slot, RowKernel kernel) {
    if (slot.domain() != Domain.ALL) {
      throw new BackendException(slot + " has no row for every row of the step");
    }
    return rows(slot, kernel);
  }

  private static Part rows(Slot slot, RowKernel kernel) {
    return new Part.Rows(slot.domain(), kernel);
  }

  private MatMulStage.Product product(Op.Linear linear, float[] out) {
    return new MatMulStage.Product(matrix(linear), bias(linear), out);
  }

  private PackedMatrix matrix(Op.Linear linear) {
    return matrices.get(linear.weight());
  }

  private float[] of(Slot slot) {
    return values(slot);
  }

  private static float @Nullable [] bias(Op.Linear linear) {
    return linear.bias() == null ? null : vector(linear.bias());
  }

  private static float[] vector(Weight weight) {
    float[] values = new float[weight.rows() * weight.columns()];
    for (int row = 0; row < weight.rows(); row++) {
      weight.tensor().decodeRow(row, values, row * weight.columns());
    }
    return values;
  }

  private long bytesRead(Op op) {
    return switch (op) {
      case Op.Embed o -> o.table().tensor().rowBytes();
      case Op.MatMul o -> o.projections().stream().mapToLong(p -> bytesRead(p.linear())).sum();
      case Op.FeedForward o -> bytesRead(o.gate()) + bytesRead(o.up()) + bytesRead(o.down());
      case Op.Head o -> bytesRead(o.output());
      case Op.RmsNorm o -> o.weight().tensor().data().byteSize();
      case Op.Rope _, Op.WriteKv _, Op.SelectPages _, Op.Attention _ -> 0;
      case Op.Add _, Op.SelectRows _ -> 0;
    };
  }

  private long bytesRead(Op.Linear linear) {
    long bias = linear.bias() == null ? 0 : linear.bias().tensor().data().byteSize();
    return matrix(linear).bytesRead() + bias;
  }
}
