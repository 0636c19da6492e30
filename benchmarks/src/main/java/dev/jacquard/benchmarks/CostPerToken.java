package dev.jacquard.benchmarks;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * What a token costs: nanoseconds, bytes moved, bytes of heap allocated, and money, for prefill and
 * decode at several depths. Runs {@link StepBenchmark}, which compares its results with the
 * reference backend before it times anything, and writes JSON that {@link PerformanceReport} reads.
 */
@Command(
    name = "cost-per-token",
    mixinStandardHelpOptions = true,
    description = "Measures ns, bytes moved, allocation and money per token; writes JSON.")
public final class CostPerToken implements Callable<Integer> {
  /**
   * One row of the table.
   *
   * @param model file name
   * @param phase prefill or decode
   * @param depth tokens cached before
   * @param threads that compute
   * @param nanoseconds per token
   * @param nanosecondsError half of JMH's 99.9 % interval
   * @param variant what decoding leaves out, as {@link CostVariant} reads it
   * @param bytesMoved weights and cached keys and values that a decoded token reads; 0 for prefill,
   *     where 256 tokens share one pass over the weights
   * @param multiplyAdds of a token
   * @param allocatedBytes heap per token ({@code gc.alloc.rate.norm})
   * @param joules of the processor's packages per token, above nothing; null where the machine does
   *     not tell
   * @param moneyPerMillion price of a million tokens, in the currency of the price per hour
   */
  record Row(
      String model,
      String variant,
      String phase,
      int depth,
      int threads,
      double nanoseconds,
      double nanosecondsError,
      long bytesMoved,
      long multiplyAdds,
      double allocatedBytes,
      @Nullable Double joules,
      double moneyPerMillion) {}

  /** The whole result. */
  record Table(Machine machine, double pricePerHour, List<Row> rows) {}

  @Parameters(arity = "0..*", description = "Models; default: the bundled one.")
  private List<String> models = List.of("");

  @Option(
      names = {"-d", "--depths"},
      split = ",",
      description = "Cached tokens (default: ${DEFAULT-VALUE}).",
      defaultValue = "0,512")
  private List<Integer> depths = List.of();

  @Option(
      names = "--variants",
      split = ",",
      description =
          "What decoding leaves out: dense, or attention=CLASS, ffn=listed:SHARE, head=certified"
              + " with '+' between them (default: ${DEFAULT-VALUE}).",
      defaultValue = "dense")
  private List<String> variants = List.of();

  @Option(
      names = {"-t", "--threads"},
      description = "Threads (default: ${DEFAULT-VALUE}).",
      defaultValue = "2")
  private int threads;

  @Option(
      names = "--price-per-hour",
      description = "Price of an hour of this machine (default: ${DEFAULT-VALUE}).",
      defaultValue = "0.10")
  private double pricePerHour;

  @Option(
      names = "--seconds",
      description = "Seconds of an iteration (default: ${DEFAULT-VALUE}).",
      defaultValue = "2")
  private int seconds;

  @Mixin private final JsonOutput output = new JsonOutput("cost-per-token.json");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new CostPerToken()).execute(args));
  }

  @Override
  public Integer call() throws RunnerException, IOException {
    List<Row> rows = new ArrayList<>();
    variants.forEach(CostVariant::parse); // before an hour is spent
    Collection<RunResult> results = new Runner(options()).run();
    for (RunResult result : results) {
      boolean prefill = result.getPrimaryResult().getLabel().equals("prefill");
      if (!prefill || result.getParams().getParam("variant").equals("dense")) {
        rows.add(row(result));
      }
    }
    output.write(new Table(Machine.current(), pricePerHour, rows));
    int wanted = 2 * models.size() * depths.size() * variants.size(); // prefill and decode
    if (results.size() < wanted) {
      System.err.printf(
          "%d of %d measurements failed, as the log above tells: their rows are missing%n",
          wanted - results.size(), wanted);
      return 1;
    }
    return 0;
  }

  private org.openjdk.jmh.runner.options.Options options() {
    return new OptionsBuilder()
        .include(StepBenchmark.class.getName())
        .param("model", models.toArray(String[]::new))
        .param("variant", variants.toArray(String[]::new))
        .param("depth", depths.stream().map(String::valueOf).toArray(String[]::new))
        .param("threads", String.valueOf(threads))
        .warmupTime(TimeValue.seconds(seconds))
        .measurementTime(TimeValue.seconds(seconds))
        .addProfiler(GCProfiler.class)
        .jvmArgsAppend("--add-modules", "jdk.incubator.vector")
        .build();
  }

  private Row row(RunResult result) throws IOException {
    String model = result.getParams().getParam("model");
    String variant = result.getParams().getParam("variant");
    int depth = Integer.parseInt(result.getParams().getParam("depth"));
    String phase = result.getPrimaryResult().getLabel();
    double nanoseconds = result.getPrimaryResult().getScore();
    double allocated =
        result.getSecondaryResults().values().stream()
            .filter(r -> r.getLabel().endsWith("gc.alloc.rate.norm"))
            .mapToDouble(r -> r.getScore())
            .findFirst()
            .orElseThrow();
    boolean decode = phase.equals("decode");
    try (CostRun run = CostRun.open(BenchmarkModel.path(model), variant, depth, threads)) {
      CountedCost counted = run.count();
      return new Row(
          BenchmarkModel.path(model).getFileName().toString(),
          variant,
          phase,
          depth,
          threads,
          nanoseconds,
          result.getPrimaryResult().getScoreError(),
          decode ? counted.bytes() : 0,
          counted.multiplyAdds(),
          allocated,
          decode ? run.joulesPerToken(seconds) : null,
          nanoseconds * 1e-9 / 3600 * pricePerHour * 1e6);
    }
  }
}
