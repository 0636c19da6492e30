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
 * Attention of one layer of the 1.1 B shape (32:4 heads of 64) over {@code depth} cached tokens.
 */
@SuppressWarnings("NullAway.Init") // JMH fills the fields
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 6, time = 1)
@Fork(1)
public class AttentionBenchmark {
  private static final int HEADS = 32;
  private static final int KV_HEADS = 4;
  private static final int HEAD_SIZE = 64;
  private static final int CHUNK = 256;

  /**
   * Float against double sums, and an exponential with an error of a few units in the last place.
   */
  private static final double NMSE_BOUND = 1e-9;

  @Param({"1", "256"})
  public int n;

  @Param({"512", "4096"})
  public int depth;

  @Param({"F16", "F32"})
  public String kv;

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
    Slot q = new Slot("q", HEADS * HEAD_SIZE, Slot.Domain.ALL);
    Slot k = new Slot("k", KV_HEADS * HEAD_SIZE, Slot.Domain.ALL);
    Slot v = new Slot("v", KV_HEADS * HEAD_SIZE, Slot.Domain.ALL);
    Slot out = new Slot("out", HEADS * HEAD_SIZE, Slot.Domain.ALL);
    Program program =
        new Program(
            List.of(
                new Op.Embed(table("queries", q.width(), 1), 40, q),
                new Op.Embed(table("keys", k.width(), 2), 16, k),
                new Op.Embed(table("values", v.width(), 3), 16, v),
                new Op.WriteKv(0, k, v),
                new Op.Attention(0, q, out, HEADS, 1 / (float) Math.sqrt(HEAD_SIZE), 0, 0, null)),
            new KvSpec(List.of(new KvSpec.Layer(KV_HEADS, HEAD_SIZE, HEAD_SIZE, 0))),
            out);
    tokens = new int[depth + n];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (i * 2654435) & 1023;
    }
    var options = CompileOptions.of(Math.max(n, CHUNK), Math.max(n, CHUNK));
    run = fill(backend, program, options);
    try (ProgramRun reference = fill("reference", program, options)) {
      Difference.require("attention", run.logits(0), reference.logits(0), NMSE_BOUND);
    }
    run.rewind(depth);
  }

  private Weight table(String name, int width, long seed) {
    return RandomTensors.weight(name, F32.INSTANCE, 1024, width, arena, seed);
  }

  private ProgramRun fill(String backendName, Program program, CompileOptions options) {
    var filled = new ProgramRun(backendName, threads, program, KvFormat.valueOf(kv), options);
    for (int i = 0; i < depth; i += CHUNK) {
      filled.step(tokens, i, Math.min(depth, i + CHUNK), 1);
    }
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
