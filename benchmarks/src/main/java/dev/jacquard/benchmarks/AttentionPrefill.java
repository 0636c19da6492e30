package dev.jacquard.benchmarks;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.jacquard.benchmarks.ReplayTiming.Rows;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.Exactness;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Times choice and attention of the last rows of a prompt over recorded heads, for DENSE and for
 * BUDGETED with several coverages of prompts; classes take turns, and before anything is timed the
 * results of some rows are compared with the reference backend's.
 */
@Command(
    name = "attention-prefill",
    mixinStandardHelpOptions = true,
    description = "Times attention of a prompt's rows over the heads of a trace; writes JSON.")
public final class AttentionPrefill implements Callable<Integer> {
  /** A page at the border of what is kept may fall on either side of it. */
  private static final double BLOCK_BOUND = 1e-3;

  /** Rows that the reference computes, one block: it is slow. */
  private static final int CHECKED_ROWS = 64;

  /**
   * One length and class.
   *
   * @param length tokens of the text, the rows' own included
   * @param rows computed in one step, the last of the text
   * @param attention class
   * @param bytes share of the bytes of DENSE
   * @param fine share of the tokens that are read in 8 bits by some head of a key/value head
   * @param selectMicroseconds choice, all layers of the trace, in the fastest round
   * @param attendMicroseconds attention, likewise
   * @param microseconds both together
   * @param timesDense microseconds of DENSE / microseconds
   * @param nmse error of the output against DENSE, over all rows
   */
  record Row(
      int length,
      int rows,
      String attention,
      double bytes,
      double fine,
      double selectMicroseconds,
      double attendMicroseconds,
      double microseconds,
      double timesDense,
      double nmse) {}

  /** The whole result. */
  record Result(@JsonUnwrapped TraceFlags.Header header, List<Row> results) {}

  @Mixin private final TraceFlags flags = new TraceFlags();

  @Option(
      names = {"-n", "--lengths"},
      split = ",",
      defaultValue = "16384,32768,131072",
      description = "Tokens of the text (default: ${DEFAULT-VALUE}).")
  private List<Integer> lengths = List.of();

  @Option(
      names = "--rows",
      split = ",",
      defaultValue = "64,512",
      description =
          "Rows of a step, at most as many as queries were recorded, so --last 512 when recording"
              + " (default: ${DEFAULT-VALUE}).")
  private List<Integer> rows = List.of();

  @Option(
      names = "--coverages",
      split = ",",
      defaultValue = "0.9,0.95,0.98",
      description = "Coverages of prompts (default: ${DEFAULT-VALUE}).")
  private List<Double> coverages = List.of();

  @Option(
      names = "--rounds",
      defaultValue = "5",
      description =
          "Turns of each class, after one that is not counted (default: ${DEFAULT-VALUE}).")
  private int rounds;

  @Mixin private final JsonOutput output = new JsonOutput("attention-prefill.json");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new AttentionPrefill()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    List<Row> results = new ArrayList<>();
    Calibration bases = flags.bases();
    try (Trace heads = flags.open()) {
      for (int length : lengths) {
        measure(heads, length, bases, results);
      }
      output.write(new Result(flags.header(heads), results));
    }
    return 0;
  }

  private void measure(Trace heads, int length, Calibration bases, List<Row> results) {
    List<Exactness> classes = new ArrayList<>();
    classes.add(Exactness.DENSE);
    coverages.forEach(c -> classes.add(new Exactness.Budgeted(0.8, c)));
    int end = heads.queries();
    try (Replay replay = Replay.of(heads, bases, length, "vector", flags.threads())) {
      try (Replay reference = Replay.of(heads, bases, length, "reference", flags.threads())) {
        Rows checked = new Rows(Math.max(0, end - CHECKED_ROWS), end);
        ReplayTiming.check(replay, reference, classes, checked, BLOCK_BOUND);
      }
      for (int count : rows) {
        if (count < 1 || count > end) {
          throw new IllegalArgumentException(
              "%d rows: the trace has %d queries".formatted(count, end));
        }
        Rows step = new Rows(end - count, end);
        add(
            results,
            length,
            count,
            classes,
            ReplayTiming.of(replay, classes, List.of(step), rounds));
      }
    }
  }

  private static void add(
      List<Row> results,
      int length,
      int count,
      List<Exactness> classes,
      List<ReplayTiming> timings) {
    for (int c = 0; c < classes.size(); c++) {
      ReplayTiming t = timings.get(c);
      results.add(
          new Row(
              length,
              count,
              classes.get(c) instanceof Exactness.Budgeted(double _, double coverage)
                  ? "BUDGETED, prompts " + coverage
                  : "DENSE",
              t.bytes(),
              t.fine(),
              t.selectMicroseconds(),
              t.attendMicroseconds(),
              t.microseconds(),
              timings.getFirst().microseconds() / t.microseconds(),
              t.nmse()));
      System.err.println(results.getLast());
    }
  }
}
