package dev.jacquard.benchmarks;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.ModelFile;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Whole steps of a model, per token: {@link #decode} of one token after {@code depth} cached ones,
 * and {@link #prefill} of 256 tokens after them. {@link CostPerToken} makes its table of these.
 */
@SuppressWarnings("NullAway.Init") // JMH fills the fields
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 6, time = 2)
@Fork(1)
public class StepBenchmark {
  /** Rows of a prefill step. */
  static final int PREFILL = 256;

  /** Float against double sums through all layers, keys and values rounded to the same format. */
  private static final double NMSE_BOUND = 1e-4;

  private static final int CHECKED = 8;

  @Param("")
  public String model;

  @Param({"0", "512"})
  public int depth;

  @Param("vector")
  public String backend;

  /** What decoding leaves out, as {@link CostVariant} reads it. */
  @Param("dense")
  public String variant;

  @Param("2")
  public int threads;

  private GgufFile file;
  private ProgramRun run;
  private int[] tokens;

  /** Opens the model, compares a few tokens with the reference backend, and fills the cache. */
  @Setup
  public void setUp() {
    Path path = BenchmarkModel.path(model);
    file = GgufFile.open(path);
    Program program = program(file);
    tokens = tokens(depth + PREFILL, program.logits().width());
    CostVariant left = CostVariant.parse(variant);
    run = open(backend, program, left, PREFILL);
    run.step(tokens, 0, CHECKED, 1);
    try (ProgramRun reference = open("reference", program, left, CHECKED)) {
      reference.step(tokens, 0, CHECKED, 1);
      Difference.require(path.toString(), run.logits(0), reference.logits(0), NMSE_BOUND);
    }
    run.rewind(0);
    fillTo(depth);
  }

  /** Some tokens, the same in every run. */
  static int[] tokens(int count, int vocabulary) {
    int[] tokens = new int[count];
    for (int i = 0; i < count; i++) {
      tokens[i] = (int) ((i * 7919L + 17) % vocabulary);
    }
    return tokens;
  }

  static Program program(ModelFile file) {
    return Architectures.byName(file.metadata().architecture()).orElseThrow().program(file);
  }

  private ProgramRun open(String name, Program program, CostVariant left, int rows) {
    ProgramRun opened =
        new ProgramRun(name, threads, program, left.kvFormat(), CompileOptions.of(rows, 1));
    left.applyTo(opened, file, program);
    return opened;
  }

  private void fillTo(int length) {
    for (int i = 0; i < length; i += PREFILL) {
      run.step(tokens, i, Math.min(length, i + PREFILL), 1);
    }
  }

  /** One token with its logits. */
  @Benchmark
  public void decode() {
    run.step(tokens, depth, depth + 1, 1);
    run.rewind(depth);
  }

  /** A prompt of 256 tokens with the logits of the last. */
  @Benchmark
  @OperationsPerInvocation(PREFILL)
  public void prefill() {
    run.step(tokens, depth, depth + PREFILL, 1);
    run.rewind(depth);
  }

  /** Frees everything. */
  @TearDown
  public void tearDown() {
    run.close();
    file.close();
  }
}
