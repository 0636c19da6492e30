package dev.jacquard.benchmarks;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.GgufFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A model that decodes one token again and again at a depth, so that it can be counted. */
final class CostRun implements AutoCloseable {
  private final GgufFile file;
  private final ProgramRun run;
  private final int[] tokens;
  private final int depth;

  private CostRun(GgufFile file, ProgramRun run, int[] tokens, int depth) {
    this.file = file;
    this.run = run;
    this.tokens = tokens;
    this.depth = depth;
  }

  /** Opens a model and fills its cache up to {@code depth}. */
  static CostRun open(Path model, String variant, int depth, int threads) {
    GgufFile file = GgufFile.open(model);
    try {
      Program program = StepBenchmark.program(file);
      CostVariant left = CostVariant.parse(variant);
      int rows = StepBenchmark.PREFILL;
      ProgramRun run =
          new ProgramRun("vector", threads, program, left.kvFormat(), CompileOptions.of(rows, 1));
      try {
        left.applyTo(run, file, program);
        int[] tokens = StepBenchmark.tokens(depth + 1, program.logits().width());
        for (int i = 0; i < depth; i += rows) {
          run.step(tokens, i, Math.min(depth, i + rows), 1);
        }
        return new CostRun(file, run, tokens, depth);
      } catch (RuntimeException | Error e) {
        run.close();
        throw e;
      }
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  /** Decodes the token once more. */
  void step() {
    run.step(tokens, depth, depth + 1, 1);
    run.rewind(depth);
  }

  /** What the token costs by counting. */
  CountedCost count() {
    run.step(tokens, depth, depth + 1, 1);
    CountedCost counted = run.counted(depth);
    run.rewind(depth);
    return counted;
  }

  /** Joules of a token, from some seconds of decoding; null where the machine does not tell. */
  @Nullable Double joulesPerToken(int seconds) throws IOException {
    Optional<EnergyCounters> counters = EnergyCounters.open(EnergyCounters.SYSTEM);
    if (counters.isEmpty()) {
      return null;
    }
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    while (System.nanoTime() < end) { // until its kernels are compiled
      step();
    }
    double before = counters.get().joules();
    int steps = 0;
    end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    while (System.nanoTime() < end) {
      step();
      steps++;
    }
    return (counters.get().joules() - before) / steps;
  }

  @Override
  public void close() {
    run.close();
    file.close();
  }
}
