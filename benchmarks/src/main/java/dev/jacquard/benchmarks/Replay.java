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
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Steps of a {@link ReplayedProgram} at the end of a cache that is filled with its text. */
final class Replay implements AutoCloseable {
  private static final int CHUNK = 512;

  private final ReplayedText text;
  private final Arena arena = Arena.ofShared();
  private final Program program;
  private final Backend backend;
  private final Executable executable;
  private final PagedKvCache cache;
  private final StepInputs inputs;
  private final KvSequence sequence;
  private final int[] queryIndices;
  private final List<Slot> results;

  /**
   * Compiles, and fills a cache.
   *
   * @param program makes the program of a text, with tables in an arena
   * @param rows most rows of a step
   */
  Replay(
      String backendName,
      int threads,
      ReplayedText text,
      BiFunction<ReplayedText, Arena, Program> program,
      KvFormat format,
      int rows) {
    this.text = text;
    this.program = program.apply(text, arena);
    queryIndices = IntStream.range(0, text.queries()).toArray();
    results =
        Stream.concat(
                this.program.ops().stream()
                    .flatMap(op -> op instanceof Op.Attention a ? Stream.of(a.out()) : null),
                Stream.of(this.program.logits()))
            .distinct()
            .toList();
    backend = Backends.open(backendName, new BackendOptions(threads));
    executable = backend.compile(this.program, CompileOptions.of(rows, rows));
    cache = new PagedKvCache(backend.allocateKv(this.program.kv(), format), Long.MAX_VALUE);
    sequence = cache.newSequence();
    int groups = this.program.kv().groupWindows().size();
    inputs = new StepInputs(rows, groups);
    if (format == KvFormat.Q8) {
      for (int layer = 0; layer < this.program.kv().layers().size(); layer++) {
        cache.storage().sketch(layer, text.bases(layer));
      }
    }
    CacheFill.append(
        sequence, new StepInputs(CHUNK, groups), cache.storage(), text.length(), text::cached);
  }

  /** Attention of a trace's layers and nothing else, over 8-bit keys and values. */
  static Replay of(Trace trace, Calibration bases, int length, String backend, int threads) {
    return new Replay(
        backend,
        threads,
        new TraceText(trace, bases, length),
        (text, arena) -> ReplayedProgram.attention(trace, text, arena),
        KvFormat.Q8,
        CHUNK);
  }

  /** Queries there are. */
  int queries() {
    return text.queries();
  }

  /**
   * One step of one or several rows, as of a prompt: the queries from {@code first} to {@code end}
   * − 1.
   *
   * @param observer if there is one, ops are computed one by one
   */
  void step(int first, int end, Exactness exactness, Executable.@Nullable Observer observer) {
    sequence.truncate(position(first));
    inputs.clear();
    sequence.append(inputs, queryIndices, first, end, end - first, _ -> exactness);
    executable.run(inputs, cache.storage(), observer);
  }

  private int position(int query) {
    return text.length() - text.queries() + query;
  }

  /** Tokens that a query sees, times key/value heads, over all layers. */
  long visibleTokens(int query) {
    long heads = program.kv().layers().stream().mapToLong(layer -> layer.heads()).sum();
    return heads * (position(query) + 1);
  }

  /** The slot of the program's logits, which is among the {@link #results}. */
  Slot logits() {
    return program.logits();
  }

  /** What is compared: outputs of attention, as far as no later layer writes them, and logits. */
  List<Slot> results() {
    return results;
  }

  /** A result of a row of the last step. */
  float[] result(Slot slot, int row) {
    float[] result = new float[slot.width()];
    executable.read(slot, row, result, 0);
    return result;
  }

  /** All results of the first {@code rows} rows, row after row. */
  float[] results(int rows) {
    int width = results.stream().mapToInt(Slot::width).sum();
    float[] all = new float[rows * width];
    int at = 0;
    for (int row = 0; row < rows; row++) {
      for (Slot slot : results) {
        executable.read(slot, row, all, at);
        at += slot.width();
      }
    }
    return all;
  }

  /** What a row of the last step read. */
  AttentionReport.Row report(int row) {
    return executable.attention().row(row);
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
