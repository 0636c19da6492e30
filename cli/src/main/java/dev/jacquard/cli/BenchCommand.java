package dev.jacquard.cli;

import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code bench}: speed of prefill and decode, as llama-bench measures it. */
@Command(
    name = "bench",
    description = {
      "Measures the speed of reading a prompt (pp) and of generating (tg).",
      "In tokens per second, with random tokens and without sampling, as llama-bench does. Each"
          + " test runs unmeasured first, for at least a second and until it gets no faster. 'tg32"
          + " @ d4096' generates 32 tokens after 4096."
    },
    footer = "  jacquard bench -p 256,512 -n 32 -d 0,512 -r 5")
final class BenchCommand implements Callable<Integer> {
  private static final long LEAST_WARM_UP = 1_000_000_000L;
  private static final long MOST_WARM_UP = 10 * LEAST_WARM_UP;
  private static final int STALE_RUNS = 5;

  /** Tokens per second over the repetitions. */
  record Speed(double median, double min, double max) {
    static Speed of(double[] sample) {
      double[] sorted = sample.clone();
      Arrays.sort(sorted);
      int n = sorted.length;
      return new Speed((sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[0], sorted[n - 1]);
    }
  }

  /** A test and its result: one of {@code nPrompt} and {@code nGen} is 0. */
  record Row(String test, int nPrompt, int nGen, int nDepth, Speed tokensPerSecond) {}

  /** How results are printed. */
  static final class Output {
    @Option(names = "--csv", description = "Print comma-separated values.")
    private boolean csv;

    @Option(names = "--json", description = "Print one JSON array.")
    private boolean json;
  }

  private final Terminal terminal;
  private final Random random = new Random(0);

  @Option(
      names = {"-p", "--n-prompt"},
      paramLabel = "N",
      split = ",",
      defaultValue = "256",
      converter = Numbers.NotNegative.class,
      description = "Lengths of prompts; 0 for no such test (default: ${DEFAULT-VALUE}).")
  private List<Integer> prompts = List.of();

  @Option(
      names = {"-n", "--n-gen"},
      paramLabel = "N",
      split = ",",
      defaultValue = "32",
      converter = Numbers.NotNegative.class,
      description =
          "Numbers of tokens to generate; 0 for no such test (default: ${DEFAULT-VALUE}).")
  private List<Integer> generations = List.of();

  @Option(
      names = {"-d", "--n-depth"},
      paramLabel = "N",
      split = ",",
      defaultValue = "0",
      converter = Numbers.NotNegative.class,
      description = "Numbers of tokens that the context holds before (default: ${DEFAULT-VALUE}).")
  private List<Integer> depths = List.of();

  @Option(
      names = {"-r", "--repetitions"},
      paramLabel = "N",
      defaultValue = "5",
      converter = Numbers.Positive.class,
      description = "Measured runs of each test (default: ${DEFAULT-VALUE}).")
  private int repetitions;

  @ArgGroup(exclusive = true)
  private final Output output = new Output();

  @Mixin private final RunFlags run = new RunFlags();

  BenchCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() {
    List<Row> rows = new ArrayList<>();
    try (Model model = run.open(terminal, longest())) {
      for (int depth : depths) {
        try (Session filled = model.newSession(run.attention())) {
          if (depth > 0) {
            filled.evaluate(randomIds(model, depth), 0, (_, _) -> {});
          }
          for (int n : prompts) {
            measure(model, filled, depth, n, 0).ifPresent(rows::add);
          }
          for (int n : generations) {
            measure(model, filled, depth, 0, n).ifPresent(rows::add);
          }
        }
      }
      terminal.clearStatus();
      terminal.print(document(model, rows));
    }
    return ExitCode.OK;
  }

  /** The context that the longest test needs. */
  private int longest() {
    return Collections.max(depths)
        + Math.max(Collections.max(prompts), Collections.max(generations));
  }

  private Optional<Row> measure(Model model, Session filled, int depth, int prompt, int generated) {
    if (prompt + generated == 0) {
      return Optional.empty();
    }
    String test =
        (prompt > 0 ? "pp" + prompt : "tg" + generated) + (depth > 0 ? " @ d" + depth : "");
    int[] ids = randomIds(model, prompt + generated);
    terminal.status(test + ": warming up");
    warmUp(filled, ids, prompt > 0);
    double[] speeds = new double[repetitions];
    for (int i = 0; i < repetitions; i++) {
      terminal.status(test + ": run " + (i + 1) + " of " + repetitions);
      speeds[i] = ids.length / (runOnce(filled, ids, prompt > 0) * 1e-9);
    }
    return Optional.of(new Row(test, prompt, generated, depth, Speed.of(speeds)));
  }

  /** Runs for at least a second, and until it gets no faster: compiled code comes step by step. */
  private void warmUp(Session filled, int[] ids, boolean together) {
    long start = System.nanoTime();
    long best = Long.MAX_VALUE;
    long elapsed = 0;
    for (int stale = 0;
        elapsed < LEAST_WARM_UP || (stale < STALE_RUNS && elapsed < MOST_WARM_UP);
        stale++) {
      long time = runOnce(filled, ids, together);
      if (time < 0.98 * best) {
        best = time;
        stale = 0;
      }
      elapsed = System.nanoTime() - start;
    }
  }

  /** Nanoseconds of computing {@code ids} after what {@code filled} holds, which stays as it is. */
  private long runOnce(Session filled, int[] ids, boolean together) {
    terminal.interruption().check();
    try (Session session = filled.fork()) {
      long start = System.nanoTime();
      if (together) {
        session.evaluate(ids, 1, (_, _) -> {});
      } else {
        for (int id : ids) {
          session.evaluate(new int[] {id}, 1, (_, _) -> {});
        }
      }
      return System.nanoTime() - start;
    }
  }

  private int[] randomIds(Model model, int count) {
    return random.ints(count, 0, model.tokenizer().size()).toArray();
  }

  private String document(Model model, List<Row> rows) {
    if (output.json) {
      return Json.write(rows) + "\n";
    }
    return output.csv ? csv(rows) : markdown(model, rows);
  }

  private static String csv(List<Row> rows) {
    StringBuilder text = new StringBuilder("test,n_prompt,n_gen,n_depth,median,min,max\n");
    for (Row row : rows) {
      Speed speed = row.tokensPerSecond();
      text.append(
          String.format(
              Locale.ROOT,
              "%s,%d,%d,%d,%.2f,%.2f,%.2f%n",
              row.test(),
              row.nPrompt(),
              row.nGen(),
              row.nDepth(),
              speed.median(),
              speed.min(),
              speed.max()));
    }
    return text.toString();
  }

  private String markdown(Model model, List<Row> rows) {
    String name = String.valueOf(model.file().path().getFileName());
    StringBuilder text =
        new StringBuilder("| model | backend | test | tok/s (median) | min | max |\n");
    text.append("|---|---|---|---:|---:|---:|\n");
    for (Row row : rows) {
      Speed speed = row.tokensPerSecond();
      text.append(
          "| %s | %s | %s | %s | %s | %s |\n"
              .formatted(
                  name,
                  model.backend().name(),
                  row.test(),
                  Format.speed(speed.median()),
                  Format.speed(speed.min()),
                  Format.speed(speed.max())));
    }
    return text.toString();
  }
}
