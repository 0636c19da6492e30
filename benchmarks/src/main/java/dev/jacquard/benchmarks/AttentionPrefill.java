package dev.jacquard.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Exactness;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
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
  private static final double DENSE_BOUND = 1e-8;

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
  record Result(
      Machine machine, String trace, int layers, int heads, int threads, List<Row> results) {}

  @Option(
      names = {"-f", "--trace"},
      required = true,
      description = "What 'jacquard evaluate attention --record --last 512' wrote.")
  private Path trace = Path.of("");

  @Option(
      names = {"-m", "--model"},
      required = true,
      description = "Its model, for the bases of sketches ('jacquard calibrate -m MODEL').")
  private Path model = Path.of("");

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
          "Rows of a step, at most as many as queries were recorded (default: "
              + "${DEFAULT-VALUE}).")
  private List<Integer> rows = List.of();

  @Option(
      names = "--coverages",
      split = ",",
      defaultValue = "0.9,0.95,0.98",
      description = "Coverages of prompts (default: ${DEFAULT-VALUE}).")
  private List<Double> coverages = List.of();

  @Option(
      names = {"-t", "--threads"},
      defaultValue = "2",
      description = "Threads (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(
      names = "--rounds",
      defaultValue = "5",
      description =
          "Turns of each class, after one that is not counted (default: " + "${DEFAULT-VALUE}).")
  private int rounds;

  @Option(
      names = {"-o", "--output"},
      defaultValue = "docs/performance/attention-prefill.json",
      description = "JSON file (default: ${DEFAULT-VALUE}).")
  private Path output = Path.of("");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new AttentionPrefill()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    List<Exactness> classes = new ArrayList<>();
    classes.add(Exactness.DENSE);
    coverages.forEach(c -> classes.add(new Exactness.Budgeted(0.8, c)));
    List<Row> results = new ArrayList<>();
    Calibration bases = AttentionTrace.bases(model);
    try (Trace heads = Trace.open(trace)) {
      for (int length : lengths) {
        results.addAll(measure(heads, length, bases, classes));
      }
      Files.createDirectories(output.toAbsolutePath().getParent());
      new ObjectMapper()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .writeValue(
              output.toFile(),
              new Result(
                  Machine.current(),
                  String.valueOf(trace.getFileName()),
                  heads.layers().size(),
                  heads.layers().getFirst().heads(),
                  threads,
                  results));
    }
    return 0;
  }

  private List<Row> measure(Trace heads, int length, Calibration bases, List<Exactness> classes) {
    List<Row> results = new ArrayList<>();
    try (TraceReplay replay = new TraceReplay(heads, length, "vector", threads, bases)) {
      check(heads, length, bases, classes, replay);
      for (int count : rows) {
        if (count < 1 || count > replay.queries()) {
          throw new IllegalArgumentException(
              "%d rows: the trace has %d queries".formatted(count, replay.queries()));
        }
        results.addAll(time(replay, length, count, classes));
      }
    }
    return results;
  }

  private void check(
      Trace heads, int length, Calibration bases, List<Exactness> classes, TraceReplay replay) {
    try (TraceReplay reference = new TraceReplay(heads, length, "reference", threads, bases)) {
      int end = reference.queries();
      int checked = Math.min(CHECKED_ROWS, end);
      for (Exactness exactness : classes) {
        replay.step(end - checked, end, exactness, null);
        reference.step(end - checked, end, exactness, null);
        Difference.require(
            name(exactness) + " at " + length,
            replay.results(checked),
            reference.results(checked),
            exactness instanceof Exactness.Dense ? DENSE_BOUND : BLOCK_BOUND);
      }
    }
  }

  private static String name(Exactness exactness) {
    return switch (exactness) {
      case Exactness.Budgeted(double _, double coverage) -> "BUDGETED, prompts " + coverage;
      case Exactness.Dense _, Exactness.Certified _, Exactness.Verified _ ->
          AttentionTrace.name(exactness);
    };
  }

  private List<Row> time(TraceReplay replay, int length, int count, List<Exactness> classes) {
    double[] select = new double[classes.size()];
    double[] attend = new double[classes.size()];
    double[] read = new double[classes.size()];
    double[] fine = new double[classes.size()];
    double[] nmse = new double[classes.size()];
    float[] dense = {};
    int first = replay.queries() - count;
    for (int round = -1; round < rounds; round++) {
      for (int c = 0; c < classes.size(); c++) {
        AttentionWatch watch = new AttentionWatch();
        replay.step(first, replay.queries(), classes.get(c), watch);
        if (round >= 0) {
          double both = (watch.select() + watch.attend()) / 1e3;
          if (round == 0 || both < select[c] + attend[c]) {
            select[c] = watch.select() / 1e3;
            attend[c] = watch.attend() / 1e3;
          }
          continue;
        }
        float[] result = replay.results(count);
        dense = c == 0 ? result : dense;
        nmse[c] = Difference.nmse(result, dense);
        double bytes = 0;
        double tokens = 0;
        for (int row = 0; row < count; row++) {
          AttentionReport.Row report = replay.report(row);
          read[c] += report.bytesRead();
          bytes += report.bytesDense();
          fine[c] += report.fine();
          tokens += replay.visibleTokens(first + row);
        }
        read[c] /= bytes;
        fine[c] /= tokens;
      }
    }
    List<Row> results = new ArrayList<>();
    double ofDense = 0;
    for (int c = 0; c < classes.size(); c++) {
      double choice = select[c];
      double attention = attend[c];
      double both = choice + attention;
      ofDense = c == 0 ? both : ofDense;
      results.add(
          new Row(
              length,
              count,
              name(classes.get(c)),
              read[c],
              fine[c],
              choice,
              attention,
              both,
              ofDense / both,
              nmse[c]));
      System.err.println(results.getLast());
    }
    return results;
  }
}
