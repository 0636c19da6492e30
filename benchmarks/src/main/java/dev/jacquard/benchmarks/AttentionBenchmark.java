package dev.jacquard.benchmarks;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.format.F32;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Attention of one layer over {@code depth} cached tokens: of the 1.1 B shape (32:4 heads of 64),
 * or of a global layer of Gemma 3 270M (4:1 heads of 256).
 */
@SuppressWarnings("NullAway.Init") // JMH fills the fields
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 6, time = 1)
@Fork(1)
public class AttentionBenchmark {
  private static final int CHUNK = 256;

  /**
   * Float against double sums, and an exponential with an error of a few units in the last place.
   */
  private static final double NMSE_BOUND = 1e-9;

  @Param({"1", "256"})
  public int n;

  @Param({"1024", "8192", "32768", "131072"})
  public int depth;

  @Param({"F16", "Q8"})
  public String kv;

  /** Query heads, key/value heads, size of a head. */
  @Param({"32:4:64", "4:1:256"})
  public String shape;

  @Param("vector")
  public String backend;

  @Param("2")
  public int threads;

  private Arena arena;
  private ProgramRun run;
  private int[] tokens;

  /** Fills the cache and compares the last row with the reference backend. */
  @Setup
  public void setUp() {
    arena = Arena.ofShared();
    int[] sizes = Arrays.stream(shape.split(":")).mapToInt(Integer::parseInt).toArray();
    int heads = sizes[0];
    int kvHeads = sizes[1];
    int size = sizes[2];
    Slot q = new Slot("q", heads * size, Slot.Domain.ALL);
    Slot k = new Slot("k", kvHeads * size, Slot.Domain.ALL);
    Slot v = new Slot("v", kvHeads * size, Slot.Domain.ALL);
    Slot out = new Slot("out", heads * size, Slot.Domain.ALL);
    KvSpec spec = new KvSpec(List.of(new KvSpec.Layer(kvHeads, size, size, 0)));
    List<Op> writing =
        List.of(
            new Op.Embed(table("keys", k.width(), 2), 16, k),
            new Op.Embed(table("values", v.width(), 3), 16, v),
            new Op.WriteKv(0, k, v));
    List<Op> attending = new ArrayList<>(writing);
    attending.add(new Op.Embed(table("queries", q.width(), 1), 40, q));
    attending.add(new Op.Attention(0, q, out, heads, 1 / (float) Math.sqrt(size), 0, 0, null));
    Program program = new Program(attending, spec, out);
    Program writer = new Program(writing, spec, k);
    tokens = new int[depth + n];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (i * 2654435) & 1023;
    }
    var options = CompileOptions.of(Math.max(n, CHUNK), Math.max(n, CHUNK));
    run = fill(backend, program, writer, options);
    try (ProgramRun reference = fill("reference", program, writer, options)) {
      Difference.require("attention", run.logits(0), reference.logits(0), NMSE_BOUND);
    }
    run.rewind(depth);
  }

  private Weight table(String name, int width, long seed) {
    return RandomTensors.weight(name, F32.INSTANCE, 1024, width, arena, seed);
  }

  private ProgramRun fill(
      String backendName, Program program, Program writer, CompileOptions options) {
    var filled = new ProgramRun(backendName, threads, program, KvFormat.valueOf(kv), options);
    filled.fill(writer, options, tokens, depth);
    filled.step(tokens, depth, depth + 1, 1);
    return filled;
  }

  /** One step: writes {@code n} rows and attends. */
  @Benchmark
  public void attend() {
    run.step(tokens, depth, depth + n, n);
    run.rewind(depth);
  }

  /** Frees everything. */
  @TearDown
  public void tearDown() {
    run.close();
    arena.close();
  }
}
