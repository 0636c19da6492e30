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
import java.util.stream.IntStream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Times choice and attention of one decoded token over recorded heads, repeated to lengths that no
 * small model reaches, for each class of exactness; classes take turns, and before anything is
 * timed their results are compared with the reference backend's.
 */
@Command(
    name = "attention-trace",
    mixinStandardHelpOptions = true,
    description = "Times attention over the heads of a trace for each class; writes JSON.")
public final class AttentionTrace implements Callable<Integer> {
  private static final List<Exactness> CLASSES =
      List.of(
          Exactness.DENSE,
          new Exactness.Budgeted(0.8, 1),
          new Exactness.Certified(0.01),
          new Exactness.Verified(0.05, 0.05, 0.8, 1));

  /**
   * A token at the border of what is kept may fall on either side of it, and so may a head's audit,
   * after which VERIFIED reads everything or not.
   */
  private static final double CLASS_BOUND = 3e-2;

  /**
   * One length and class.
   *
   * @param length tokens of the text
   * @param attention class
   * @param bytes share of the bytes of DENSE
   * @param selectMicroseconds choice, all layers of the trace, median over queries of the least
   *     over rounds
   * @param attendMicroseconds attention, likewise
   * @param microseconds both together
   * @param timesDense microseconds of DENSE / microseconds
   * @param nmse error of the output against DENSE, over all queries
   */
  record Row(
      int length,
      String attention,
      double bytes,
      double selectMicroseconds,
      double attendMicroseconds,
      double microseconds,
      double timesDense,
      double nmse) {}

  /** The whole result. */
  record Result(@JsonUnwrapped TraceFlags.Header header, List<Row> rows) {}

  @Mixin private final TraceFlags flags = new TraceFlags();

  @Option(
      names = {"-n", "--lengths"},
      split = ",",
      defaultValue = "8192,32768,131072",
      description = "Tokens of the text (default: ${DEFAULT-VALUE}).")
  private List<Integer> lengths = List.of();

  @Option(
      names = "--rounds",
      defaultValue = "15",
      description = "Turns of each class (default: ${DEFAULT-VALUE}).")
  private int rounds;

  @Mixin private final JsonOutput output = new JsonOutput("attention-trace.json");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new AttentionTrace()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    List<Row> rows = new ArrayList<>();
    Calibration bases = flags.bases();
    try (Trace heads = flags.open()) {
      for (int length : lengths) {
        measure(heads, length, bases, rows);
      }
      output.write(new Result(flags.header(heads), rows));
    }
    return 0;
  }

  private void measure(Trace heads, int length, Calibration bases, List<Row> rows) {
    List<Rows> steps =
        IntStream.range(0, heads.queries()).mapToObj(q -> new Rows(q, q + 1)).toList();
    try (Replay replay = Replay.of(heads, bases, length, "vector", flags.threads())) {
      try (Replay reference = Replay.of(heads, bases, length, "reference", flags.threads())) {
        ReplayTiming.check(replay, reference, CLASSES, steps.getLast(), CLASS_BOUND);
      }
      List<ReplayTiming> timings = ReplayTiming.of(replay, CLASSES, steps, rounds);
      double dense = timings.getFirst().microseconds();
      for (int c = 0; c < CLASSES.size(); c++) {
        ReplayTiming t = timings.get(c);
        rows.add(
            new Row(
                length,
                name(CLASSES.get(c)),
                t.bytes(),
                t.selectMicroseconds(),
                t.attendMicroseconds(),
                t.microseconds(),
                dense / t.microseconds(),
                t.nmse()));
        System.err.println(rows.getLast());
      }
    }
  }

  private static String name(Exactness exactness) {
    return switch (exactness) {
      case Exactness.Dense _ -> "DENSE";
      case Exactness.Certified(double epsilon) -> "CERTIFIED(" + epsilon + ")";
      case Exactness.Verified v -> "VERIFIED(" + v.epsilon() + ", " + v.delta() + ")";
      case Exactness.Budgeted(double coverage, double _) -> "BUDGETED(" + coverage + ")";
    };
  }
}
