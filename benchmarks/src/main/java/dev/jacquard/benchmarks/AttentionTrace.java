package dev.jacquard.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import dev.jacquard.architecture.Architectures;
import dev.jacquard.calibration.BasisStore;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.session.WeightCache;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
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
  /** DENSE: float against double sums over the same rounded numbers. */
  private static final double DENSE_BOUND = 1e-8;

  /** A token at the border of what is kept may fall on either side of it. */
  private static final double CLASS_BOUND = 1e-2;

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
  record Result(
      Machine machine, String trace, int layers, int heads, int threads, List<Row> rows) {}

  private record Timed(double select, double attend, double bytes, double nmse) {}

  @Option(
      names = {"-f", "--trace"},
      required = true,
      description = "What 'jacquard evaluate attention --record' wrote.")
  private Path trace = Path.of("");

  @Option(
      names = {"-m", "--model"},
      required = true,
      description = "Its model, for the bases of sketches ('jacquard calibrate -m MODEL').")
  private Path model = Path.of("");

  @Option(
      names = {"-n", "--lengths"},
      split = ",",
      defaultValue = "8192,32768,131072",
      description = "Tokens of the text (default: ${DEFAULT-VALUE}).")
  private List<Integer> lengths = List.of();

  @Option(
      names = {"-t", "--threads"},
      defaultValue = "2",
      description = "Threads (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(
      names = "--rounds",
      defaultValue = "15",
      description = "Turns of each class (default: ${DEFAULT-VALUE}).")
  private int rounds;

  @Option(
      names = {"-o", "--output"},
      defaultValue = "docs/performance/attention-trace.json",
      description = "JSON file (default: ${DEFAULT-VALUE}).")
  private Path output = Path.of("");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new AttentionTrace()).execute(args));
  }

  @Override
  public Integer call() throws IOException {
    List<Exactness> classes =
        List.of(Exactness.DENSE, new Exactness.Budgeted(0.8, 1), new Exactness.Certified(0.01));
    List<Row> rows = new ArrayList<>();
    Calibration bases = bases(model);
    try (Trace heads = Trace.open(trace)) {
      for (int length : lengths) {
        rows.addAll(measure(heads, length, bases, classes));
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
                  rows));
    }
    return 0;
  }

  /** The bases that were saved for a model. */
  static Calibration bases(Path model) {
    try (ModelFile file = ModelFile.open(model)) {
      String architecture = file.metadata().architecture();
      return new BasisStore(
              file,
              Architectures.byName(architecture).orElseThrow().program(file).kv(),
              WeightCache.folder().orElse(null))
          .load()
          .orElseThrow(
              () -> new IllegalStateException("first run: ./jacquard calibrate -m " + model));
    }
  }

  private List<Row> measure(Trace heads, int length, Calibration bases, List<Exactness> classes) {
    try (TraceReplay replay = new TraceReplay(heads, length, "vector", threads, bases)) {
      check(heads, length, bases, classes, replay);
      List<Timed> timed = time(replay, classes);
      List<Row> rows = new ArrayList<>();
      Timed dense = timed.getFirst();
      for (int c = 0; c < classes.size(); c++) {
        Timed t = timed.get(c);
        double both = t.select + t.attend;
        rows.add(
            new Row(
                length,
                name(classes.get(c)),
                t.bytes,
                t.select,
                t.attend,
                both,
                (dense.select + dense.attend) / both,
                t.nmse));
        System.err.println(rows.getLast());
      }
      return rows;
    }
  }

  static String name(Exactness exactness) {
    return switch (exactness) {
      case Exactness.Dense _ -> "DENSE";
      case Exactness.Certified(double epsilon) -> "CERTIFIED(" + epsilon + ")";
      case Exactness.Verified v -> "VERIFIED(" + v.epsilon() + ", " + v.delta() + ")";
      case Exactness.Budgeted(double coverage, double _) -> "BUDGETED(" + coverage + ")";
    };
  }

  private void check(
      Trace heads, int length, Calibration bases, List<Exactness> classes, TraceReplay replay) {
    try (TraceReplay reference = new TraceReplay(heads, length, "reference", threads, bases)) {
      int last = replay.queries() - 1;
      for (Exactness exactness : classes) {
        replay.step(last, exactness, null);
        reference.step(last, exactness, null);
        Difference.require(
            name(exactness) + " at " + length,
            replay.result(),
            reference.result(),
            exactness instanceof Exactness.Dense ? DENSE_BOUND : CLASS_BOUND);
      }
    }
  }

  private List<Timed> time(TraceReplay replay, List<Exactness> classes) {
    int queries = replay.queries();
    double[][] select = new double[classes.size()][queries];
    double[][] attend = new double[classes.size()][queries];
    double[][] bytes = new double[classes.size()][2];
    double[][] errors = new double[classes.size()][2];
    for (int round = 0; round < rounds; round++) {
      float[][] dense = new float[queries][];
      for (int c = 0; c < classes.size(); c++) {
        for (int q = 0; q < queries; q++) {
          AttentionWatch watch = new AttentionWatch();
          replay.step(q, classes.get(c), watch);
          boolean first = round == 0;
          double total = watch.select() + watch.attend();
          if (first || total < select[c][q] + attend[c][q]) {
            select[c][q] = watch.select();
            attend[c][q] = watch.attend();
          }
          if (first) {
            bytes[c][0] += replay.report().bytesRead();
            bytes[c][1] += replay.report().bytesDense();
            float[] result = replay.result();
            dense[q] = c == 0 ? result : dense[q];
            Difference.add(errors[c], result, dense[q]);
          }
        }
      }
    }
    List<Timed> timed = new ArrayList<>();
    for (int c = 0; c < classes.size(); c++) {
      timed.add(
          new Timed(
              median(select[c]) / 1000,
              median(attend[c]) / 1000,
              bytes[c][0] / bytes[c][1],
              errors[c][0] / errors[c][1]));
    }
    return timed;
  }

  private static double median(double[] samples) {
    double[] sorted = samples.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
