package dev.jacquard.benchmarks;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The attention of a trace's layers over a text of any length, and nothing else: queries, keys and
 * values come from tables, so that a step is write, choose, attend for each layer.
 */
final class TraceReplay implements AutoCloseable {
  private static final PageList PAGES = new PageList("pages");
  private static final int CHUNK = 512;

  private final Trace trace;
  private final int length;
  private final Arena arena = Arena.ofShared();
  private final Backend backend;
  private final Executable executable;
  private final PagedKvCache cache;
  private final StepInputs inputs = new StepInputs(CHUNK, 1);
  private final KvSequence sequence;
  private final int[] queryIndices;
  private final List<Slot> outs = new ArrayList<>();

  /**
   * Fills a cache of {@code length} tokens.
   *
   * @param bases of the trace's layers, or null for none
   */
  TraceReplay(
      Trace trace, int length, String backendName, int threads, @Nullable Calibration bases) {
    this.trace = trace;
    this.length = length;
    queryIndices = new int[trace.queries()];
    for (int i = 0; i < queryIndices.length; i++) {
      queryIndices[i] = i;
    }
    Program program = program();
    backend = Backends.open(backendName, new BackendOptions(threads));
    executable = backend.compile(program, CompileOptions.of(CHUNK, CHUNK));
    cache = new PagedKvCache(backend.allocateKv(program.kv(), KvFormat.Q8), Long.MAX_VALUE);
    sequence = cache.newSequence();
    if (bases != null) {
      sketch(bases);
    }
    fill();
  }

  private void sketch(Calibration bases) {
    for (int i = 0; i < trace.layers().size(); i++) {
      int index = trace.layers().get(i).index();
      var found =
          bases.layers().stream()
              .filter(b -> b.layer() == index)
              .findFirst()
              .orElseThrow(
                  () -> new IllegalArgumentException("the model has no basis of layer " + index));
      cache.storage().sketch(i, found.bases());
    }
  }

  private Program program() {
    List<Op> ops = new ArrayList<>();
    List<KvSpec.Layer> layers = new ArrayList<>();
    for (int i = 0; i < trace.layers().size(); i++) {
      Trace.Layer layer = trace.layers().get(i);
      int keyWidth = layer.kv().heads() * layer.kv().keySize();
      int valueWidth = layer.kv().heads() * layer.kv().valueSize();
      Slot q = new Slot("q" + i, layer.heads() * layer.kv().keySize(), Domain.ALL);
      Slot k = new Slot("k" + i, keyWidth, Domain.ALL);
      Slot v = new Slot("v" + i, valueWidth, Domain.ALL);
      Slot out = new Slot("out" + i, layer.heads() * layer.kv().valueSize(), Domain.ALL);
      int number = i;
      ops.add(
          new Op.Embed(table("q" + i, q, (row, x) -> trace.query(number, row, length, x)), 1, q));
      ops.add(
          new Op.Embed(
              table("k" + i, k, (row, x) -> trace.key(number, position(row), length, x)), 1, k));
      ops.add(
          new Op.Embed(
              table("v" + i, v, (row, x) -> trace.value(number, position(row), length, x)), 1, v));
      ops.add(new Op.WriteKv(i, k, v));
      ops.add(new Op.SelectPages(i, q, layer.heads(), layer.scale(), layer.softCap(), PAGES));
      ops.add(new Op.Attention(i, q, out, layer.heads(), layer.scale(), 0, layer.softCap(), PAGES));
      layers.add(layer.kv());
      outs.add(out);
    }
    return new Program(ops, new KvSpec(layers), outs.getLast());
  }

  private int position(int query) {
    return length - trace.queries() + query;
  }

  private interface Row {
    void read(int row, float[] target);
  }

  private Weight table(String name, Slot slot, Row rows) {
    F32 format = F32.INSTANCE;
    MemorySegment data = arena.allocate(format.bytes((long) trace.queries() * slot.width()), 64);
    float[] row = new float[slot.width()];
    for (int i = 0; i < trace.queries(); i++) {
      rows.read(i, row);
      format.encode(row, 0, row.length, data, i * format.bytes(row.length));
    }
    return new Weight(name, new Tensor(format, Shape.of(slot.width(), trace.queries()), data));
  }

  private void fill() {
    CacheFill.append(
        sequence,
        inputs,
        cache.storage(),
        length,
        (layer, position, keys, values) -> {
          trace.key(layer, position, length, keys);
          trace.value(layer, position, length, values);
        });
  }

  /** Queries there are. */
  int queries() {
    return trace.queries();
  }

  /** One step: the query of the text's position {@code length − queries() + query}. */
  void step(int query, Exactness exactness, Executable.@Nullable Observer observer) {
    step(query, query + 1, exactness, observer);
  }

  /**
   * One step of several rows, as of a prompt: the queries from {@code first} to {@code end} − 1.
   */
  void step(int first, int end, Exactness exactness, Executable.@Nullable Observer observer) {
    sequence.truncate(position(first));
    inputs.clear();
    sequence.append(inputs, queryIndices, first, end, end - first, _ -> exactness);
    executable.run(inputs, cache.storage(), observer);
  }

  /** Tokens that a query sees, times key/value heads, over all layers. */
  long visibleTokens(int query) {
    long heads = trace.layers().stream().mapToLong(layer -> layer.kv().heads()).sum();
    return heads * (position(query) + 1);
  }

  /** Results of all layers for the first row of the last step, one after the other. */
  float[] result() {
    return results(1);
  }

  /** The same for the first {@code rows} rows, row after row. */
  float[] results(int rows) {
    int width = outs.stream().mapToInt(Slot::width).sum();
    float[] result = new float[rows * width];
    int at = 0;
    for (int row = 0; row < rows; row++) {
      for (Slot out : outs) {
        executable.read(out, row, result, at);
        at += out.width();
      }
    }
    return result;
  }

  /** What the first row of the last step read. */
  AttentionReport.Row report() {
    return report(0);
  }

  /** What a row of the last step read. */
  AttentionReport.Row report(int row) {
    return executable.attention().row(row);
  }

  /** What was chosen last. */
  PageSelection pages() {
    return executable.pages(PAGES);
  }

  @Override
  public void close() {
    sequence.close();
    cache.close();
    executable.close();
    backend.close();
    arena.close();
  }
}
