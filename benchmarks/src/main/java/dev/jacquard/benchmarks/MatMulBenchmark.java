package dev.jacquard.benchmarks;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.ElementFormats;
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
 * One matrix of the 1.1 B shape (gate or up: 5632 × 2048) times 1 activation row (mat-vec, decode)
 * or 256 rows (mat-mul, prefill), per number format.
 */
@SuppressWarnings("NullAway.Init") // JMH fills the fields
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 6, time = 1)
@Fork(1)
public class MatMulBenchmark {
  private static final int COLUMNS = 2048;
  private static final int ROWS = 5632;

  /** Float against double sums of 2048 products; weights and activations are not rounded. */
  private static final double NMSE_BOUND = 1e-10;

  @Param({"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"})
  public String format;

  @Param({"1", "256"})
  public int n;

  @Param("vector")
  public String backend;

  @Param("2")
  public int threads;

  private Arena arena;
  private ProgramRun run;
  private int[] tokens;

  /** Builds the matrix and compares its product with the reference backend. */
  @Setup
  public void setUp() {
    arena = Arena.ofShared();
    Slot x = new Slot("x", COLUMNS, Slot.Domain.ALL);
    Slot y = new Slot("y", ROWS, Slot.Domain.ALL);
    Weight inputs = RandomTensors.weight("inputs", F32.INSTANCE, 256, COLUMNS, arena, 1);
    Weight matrix =
        RandomTensors.weight(
            "matrix", ElementFormats.byName(format).orElseThrow(), ROWS, COLUMNS, arena, 2);
    Program program =
        new Program(
            List.of(
                new Op.Embed(inputs, 1, x),
                new Op.MatMul(x, List.of(new Op.Projection(new Op.Linear(matrix, null), y)))),
            new KvSpec(List.of()),
            y);
    tokens = new int[n];
    for (int i = 0; i < n; i++) {
      tokens[i] = i;
    }
    run = new ProgramRun(backend, threads, program, KvFormat.F16, CompileOptions.of(n, n));
    run.step(tokens, 0, n, n);
    try (var reference =
        new ProgramRun("reference", threads, program, KvFormat.F16, CompileOptions.of(1, 1))) {
      reference.step(tokens, n - 1, n, 1);
      Difference.require(format, run.logits(n - 1), reference.logits(0), NMSE_BOUND);
    }
  }

  /** One product. */
  @Benchmark
  public void product() {
    run.step(tokens, 0, n, n);
  }

  /** Frees everything. */
  @TearDown
  public void tearDown() {
    run.close();
    arena.close();
  }
}
