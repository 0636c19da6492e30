package dev.jacquard.benchmarks;

import dev.jacquard.calibration.Calibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.modelfile.GgufFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Decodes tokens of a model at given depths: DENSE over F16 and Q8, and BUDGETED over Q8. The
 * weights are real in size only, and random weights attend like no trained model; so queries, keys
 * and values are those of a trace, mapped to the model's heads ({@link MappedText}) and looked up
 * in each layer in place of what the model computed. All else is the step that a user runs, joined
 * ops included: the model's products, the choice among the cached tokens, and attention to what it
 * chose. At the first depth the results are compared with the reference backend's before anything
 * is timed. A peer's {@code llama-bench} may run beside it.
 */
@Command(
    name = "decode-at-depth",
    mixinStandardHelpOptions = true,
    description = "Times decoded tokens at depth, with heads of a trace; writes JSON.")
public final class DecodeAtDepth implements Callable<Integer> {
  /** Float against double sums through all layers, activations in 8 bits. */
  private static final double LOGITS_BOUND = 1e-4;

  /** A token at the border of what is kept may fall on either side of it. */
  private static final double CLASS_BOUND = 1e-2;

  private static final Exactness BUDGETED = new Exactness.Budgeted(0.8, 1);

  /**
   * One depth and way.
   *
   * @param depth cached tokens
   * @param way as {@code DENSE Q8}
   * @param bytes share of the bytes of DENSE in the same format; null for the peer
   * @param milliseconds per token, median
   * @param tokensPerSecond the same the other way round
   */
  record Row(
      int depth, String way, @Nullable Double bytes, double milliseconds, double tokensPerSecond) {}

  /** The whole result. */
  record Result(Machine machine, String model, String trace, int threads, List<Row> rows) {}

  @Parameters(description = "The model.")
  private Path model = Path.of("");

  @Mixin private final TraceFlags flags = new TraceFlags();

  @Option(
      names = {"-d", "--depths"},
      split = ",",
      defaultValue = "8192,32768,131072",
      description = "Cached tokens (default: ${DEFAULT-VALUE}).")
  private List<Integer> depths = List.of();

  @Option(
      names = {"-n", "--tokens"},
      defaultValue = "24",
      description = "Decoded tokens of each way (default: ${DEFAULT-VALUE}).")
  private int tokens;

  @Option(names = "--llama-bench", description = "The peer's benchmark program.")
  private @Nullable Path llamaBench;

  @Option(
      names = "--peer-depths",
      split = ",",
      defaultValue = "8192,32768",
      description =
          "Depths of the peer, which has to read a prompt of that length (default:"
              + " ${DEFAULT-VALUE}).")
  private List<Integer> peerDepths = List.of();

  @Mixin private final JsonOutput output = new JsonOutput("attention-decode.json");

  private final List<Row> rows = new ArrayList<>();

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new DecodeAtDepth()).execute(args));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Calibration bases = flags.bases();
    try (GgufFile file = GgufFile.open(model);
        Trace heads = flags.open()) {
      Program program = StepBenchmark.program(file);
      for (int depth : depths) {
        MappedText text = new MappedText(heads, bases, program, depth);
        measure(program, text, KvFormat.F16, List.of(Exactness.DENSE));
        measure(program, text, KvFormat.Q8, List.of(Exactness.DENSE, BUDGETED));
        if (llamaBench != null && peerDepths.contains(depth)) {
          add(depth, "llama.cpp F16", null, 1000 / peer(llamaBench, depth));
        }
      }
    }
    output.write(
        new Result(
            Machine.current(),
            String.valueOf(model.getFileName()),
            flags.traceName(),
            flags.threads(),
            rows));
    return 0;
  }

  private void add(int depth, String way, @Nullable Double bytes, double milliseconds) {
    rows.add(new Row(depth, way, bytes, milliseconds, 1000 / milliseconds));
    System.err.println(rows.getLast());
  }

  private void measure(Program program, MappedText text, KvFormat format, List<Exactness> classes) {
    try (Replay replay = open("vector", program, text, format)) {
      if (text.length() == depths.getFirst()) {
        try (Replay reference = open("reference", program, text, format)) {
          classes.forEach(exactness -> check(replay, reference, exactness));
        }
      }
      classes.forEach(exactness -> time(replay, text, format, exactness));
    }
  }

  private Replay open(String backend, Program program, MappedText text, KvFormat format) {
    return new Replay(
        backend,
        flags.threads(),
        text,
        (replayed, arena) -> ReplayedProgram.of(program, replayed, arena),
        format,
        1);
  }

  private static void check(Replay replay, Replay reference, Exactness exactness) {
    int last = replay.queries() - 1;
    replay.step(last, last + 1, exactness, null);
    reference.step(last, last + 1, exactness, null);
    for (Slot slot : replay.results()) {
      double bound = slot.equals(replay.logits()) ? LOGITS_BOUND : Difference.SAME_NUMBERS;
      Difference.require(
          exactness + ", " + slot.name(),
          replay.result(slot, 0),
          reference.result(slot, 0),
          exactness instanceof Exactness.Dense ? bound : CLASS_BOUND);
    }
  }

  private void time(Replay replay, MappedText text, KvFormat format, Exactness exactness) {
    double[] nanoseconds = new double[tokens];
    long read = 0;
    long dense = 0;
    int warming = tokens / 2;
    for (int i = -warming; i < tokens; i++) {
      int query = (warming + i) % replay.queries();
      long started = System.nanoTime();
      replay.step(query, query + 1, exactness, null);
      if (i >= 0) {
        nanoseconds[i] = System.nanoTime() - started;
        read += replay.report(0).bytesRead();
        dense += replay.report(0).bytesDense();
      }
    }
    String name =
        exactness instanceof Exactness.Budgeted(double p, double _)
            ? "BUDGETED(" + p + ")"
            : "DENSE";
    add(text.length(), name + " " + format, read / (double) dense, Median.of(nanoseconds) * 1e-6);
  }

  /** Tokens per second. */
  private double peer(Path program, int depth) throws IOException, InterruptedException {
    return JsonCommand.run(
            JsonCommand.llamaBench(program), model, flags.threads(), 0, 8, 1, "" + depth)
        .get(0)
        .get("avg_ts")
        .asDouble();
  }
}
