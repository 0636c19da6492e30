package dev.jacquard.benchmarks;

import dev.jacquard.calibration.BasisStore;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.session.WeightCache;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** What benchmarks over recorded heads are told: the trace, its model, and threads. */
final class TraceFlags {
  /** Where the numbers of a result come from. */
  record Header(Machine machine, String trace, int layers, int heads, int threads) {}

  @Option(
      names = {"-f", "--trace"},
      required = true,
      description = "What 'jacquard evaluate attention --record' wrote.")
  private Path trace = Path.of("");

  @Option(
      names = {"-m", "--trace-model", "--model"},
      required = true,
      description =
          "The model that the trace is of, for the bases of its sketches ('jacquard calibrate"
              + " -m MODEL').")
  private Path model = Path.of("");

  @Option(
      names = {"-t", "--threads"},
      defaultValue = "2",
      description = "Threads (default: ${DEFAULT-VALUE}).")
  private int threads;

  int threads() {
    return threads;
  }

  String traceName() {
    return String.valueOf(trace.getFileName());
  }

  Header header(Trace heads) {
    return new Header(
        Machine.current(),
        traceName(),
        heads.layers().size(),
        heads.layers().getFirst().heads(),
        threads);
  }

  /** The trace; the caller closes it. */
  Trace open() {
    return Trace.open(trace);
  }

  /** The bases that were saved for the trace's model. */
  Calibration bases() {
    try (ModelFile file = ModelFile.open(model)) {
      return new BasisStore(
              file, StepBenchmark.program(file).kv(), WeightCache.folder().orElse(null))
          .load()
          .orElseThrow(
              () -> new IllegalStateException("first run: ./jacquard calibrate -m " + model));
    }
  }
}
