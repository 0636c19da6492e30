package dev.jacquard.benchmarks;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.calibration.Calibration;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.modelfile.GgufFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Decodes tokens of a model with random weights at given depths: DENSE over F16 and Q8, and
 * BUDGETED over Q8. Random weights attend like no trained model, so BUDGETED's own choice is
 * computed, and then replaced by one that recorded heads made at that length. The cache is filled
 * with random numbers instead of a prompt. A peer's {@code llama-bench} may run beside it.
 */
@Command(
    name = "decode-at-depth",
    mixinStandardHelpOptions = true,
    description = "Times decoded tokens at depth, with selections of recorded heads; writes JSON.")
public final class DecodeAtDepth implements Callable<Integer> {
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

  /** Masks of tokens read in 8 bits: [query][layer of the trace][entry]. */
  @SuppressWarnings("ArrayRecordComponent") // private, never compared
  private record Choices(char[][][] masks) {}

  private record Timed(double milliseconds, @Nullable Double bytes) {}

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

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new DecodeAtDepth()).execute(args));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Row> rows = new ArrayList<>();
    Calibration bases = flags.bases();
    try (GgufFile file = GgufFile.open(model);
        Trace heads = flags.open()) {
      Program program = StepBenchmark.program(file);
      try (Backend backend = Backends.open("vector", new BackendOptions(flags.threads()));
          Executable executable = backend.compile(program, CompileOptions.of(512, 1))) {
        for (int depth : depths) {
          measure(backend, executable, program, heads, bases, depth, rows);
          if (llamaBench != null && peerDepths.contains(depth)) {
            add(rows, depth, "llama.cpp F16", new Timed(1000 / peer(llamaBench, depth), null));
          }
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

  private static void add(List<Row> rows, int depth, String way, Timed timed) {
    rows.add(new Row(depth, way, timed.bytes, timed.milliseconds, 1000 / timed.milliseconds));
    System.err.println(rows.getLast());
  }

  private void measure(
      Backend backend,
      Executable executable,
      Program program,
      Trace heads,
      Calibration bases,
      int depth,
      List<Row> rows) {
    try (PagedKvCache cache = cache(backend, program, KvFormat.F16);
        KvSequence sequence = fill(cache, depth)) {
      add(rows, depth, "DENSE F16", time(executable, cache, sequence, Exactness.DENSE, null));
    }
    Choices choices = choices(heads, bases, depth);
    try (PagedKvCache cache = cache(backend, program, KvFormat.Q8);
        KvSequence sequence = fill(cache, depth)) {
      sketch(cache.storage());
      add(rows, depth, "DENSE Q8", time(executable, cache, sequence, Exactness.DENSE, null));
      add(
          rows,
          depth,
          "BUDGETED(0.8) Q8, replayed",
          time(executable, cache, sequence, new Exactness.Budgeted(0.8, 1), choices));
    }
  }

  private static PagedKvCache cache(Backend backend, Program program, KvFormat format) {
    return new PagedKvCache(backend.allocateKv(program.kv(), format), Long.MAX_VALUE);
  }

  /** Random numbers of variance 1 from a pool: what they are does not matter to the time. */
  private static KvSequence fill(PagedKvCache cache, int depth) {
    float[] pool = new float[1 << 20];
    SplittableRandom random = new SplittableRandom(7);
    for (int i = 0; i < pool.length; i++) {
      pool[i] = (float) random.nextGaussian();
    }
    KvSequence sequence = cache.newSequence();
    KvSpec spec = cache.storage().spec();
    CacheFill.append(
        sequence,
        new StepInputs(512, spec.groupWindows().size()),
        cache.storage(),
        depth,
        (layer, position, keys, values) -> {
          int from = (int) ((position * 7919L + layer * 104_729L) % (pool.length - 4096));
          System.arraycopy(pool, from, keys, 0, keys.length);
          System.arraycopy(pool, from + 64, values, 0, values.length);
        });
    return sequence;
  }

  /** One bit a channel, in the basis of the keys themselves. */
  private static void sketch(KvStorage storage) {
    for (int layer = 0; layer < storage.spec().layers().size(); layer++) {
      KvSpec.Layer l = storage.spec().layers().get(layer);
      int size = l.keySize();
      float[] identity = new float[size * size];
      for (int c = 0; c < size; c++) {
        identity[c * size + c] = 1;
      }
      byte[] bits = new byte[size];
      Arrays.fill(bits, (byte) 1);
      float[] step = new float[size];
      Arrays.fill(step, 1.6f);
      SketchBasis basis = new SketchBasis(new float[size], identity, identity, bits, step);
      storage.sketch(layer, Collections.nCopies(l.heads(), basis));
    }
  }

  /** What BUDGETED chooses for the recorded queries at that length. */
  private Choices choices(Trace heads, Calibration bases, int depth) {
    try (TraceReplay replay = new TraceReplay(heads, depth, "vector", flags.threads(), bases)) {
      char[][][] masks = new char[replay.queries()][heads.layers().size()][];
      for (int q = 0; q < masks.length; q++) {
        char[][] ofQuery = masks[q];
        int[] layer = {0};
        replay.step(
            q,
            new Exactness.Budgeted(0.8, 1),
            (_, op) -> {
              if (op instanceof Op.SelectPages) {
                PageSelection.Slice slice = replay.pages().slice(0);
                ofQuery[layer[0]++] = Arrays.copyOf(slice.fine(), slice.entries());
              }
            });
      }
      return new Choices(masks);
    }
  }

  private Timed time(
      Executable executable,
      PagedKvCache cache,
      KvSequence sequence,
      Exactness exactness,
      @Nullable Choices choices) {
    StepInputs inputs = new StepInputs(1, cache.storage().spec().groupWindows().size());
    int depth = sequence.length();
    double[] nanoseconds = new double[tokens];
    long read = 0;
    long dense = 0;
    for (int i = -tokens / 2; i < tokens; i++) { // the first half warms up
      sequence.truncate(depth);
      inputs.clear();
      long started = System.nanoTime();
      sequence.append(inputs, new int[] {17 + Math.abs(i)}, 0, 1, 1, _ -> exactness);
      executable.run(inputs, cache.storage(), observer(executable, choices, Math.abs(i)));
      if (i >= 0) {
        nanoseconds[i] = System.nanoTime() - started;
        read += executable.attention().row(0).bytesRead();
        dense += executable.attention().row(0).bytesDense();
      }
    }
    return new Timed(Median.of(nanoseconds) * 1e-6, read / (double) dense);
  }

  private static Executable.@Nullable Observer observer(
      Executable executable, @Nullable Choices choices, int token) {
    if (choices == null) {
      return null;
    }
    char[][] masks = choices.masks[token % choices.masks.length];
    return (_, op) -> {
      if (op instanceof Op.SelectPages select) {
        PageSelection selection = executable.pages(select.out());
        for (int s = 0; s < selection.size(); s++) {
          replace(
              selection.slice(s), masks[(select.layer() * selection.size() + s) % masks.length]);
        }
      }
    };
  }

  /** Reads the recorded tokens in 8 bits, and means of all pages that have others. */
  private static void replace(PageSelection.Slice slice, char[] mask) {
    int entries = Math.min(slice.entries(), mask.length);
    System.arraycopy(mask, 0, slice.fine(), 0, entries);
    float[] far = slice.far();
    for (int h = 0; h < slice.heads(); h++) {
      for (int e = 0; e < entries; e++) {
        far[h * slice.entries() + e] = mask[e] == 0xFFFF ? 0 : 1e-6f;
      }
    }
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
