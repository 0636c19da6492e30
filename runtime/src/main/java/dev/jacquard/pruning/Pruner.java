package dev.jacquard.pruning;

import dev.jacquard.architecture.Architecture;
import dev.jacquard.architecture.Architectures;
import dev.jacquard.calibration.ChunkReader;
import dev.jacquard.calibration.HeadlessProgram;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.DoubleConsumer;
import java.util.stream.Collectors;

/**
 * Removes neurons of feed-forward layers from a model and writes what remains as a smaller GGUF
 * file, which any runtime can load. A text says which neurons count, and what the remaining ones
 * can do for those that are removed.
 *
 * <p>The model is open as long as this is; one thread uses it.
 */
public final class Pruner implements AutoCloseable {
  /** Tokens of the text that are read at once, from an empty context. */
  private static final int CHUNK = 1024;

  /** Rows of a step: their hidden values are held. */
  private static final int ROWS = 256;

  /** Products of hidden values that are held at once; what does not fit takes one more reading. */
  private static final long GRAM_BYTES = 512L << 20;

  /** Architectures of which also llama.cpp reads a bias of W_down. */
  private static final Set<String> BIASED = Set.of("llama");

  private final GgufFile file;
  private final Program program;
  private final Backend backend;
  private final Executable executable;
  private final List<Op.FeedForward> layers;

  private Pruner(GgufFile file, Program program, Backend backend, Executable executable) {
    this.file = file;
    this.program = program;
    this.backend = backend;
    this.executable = executable;
    layers = feedForwards(program);
  }

  private static List<Op.FeedForward> feedForwards(Program program) {
    return program.ops().stream()
        .<Op.FeedForward>mapMulti(
            (op, add) -> {
              if (op instanceof Op.FeedForward f) {
                add.accept(f);
              }
            })
        .toList();
  }

  /**
   * Opens a model.
   *
   * @param threads that compute
   * @param progress told the finished share, 0 to 1, while weights are repacked
   * @throws dev.jacquard.modelfile.ModelFormatException if the file is not a model we can run
   * @throws PruningException if its feed-forward layers cannot be pruned
   */
  public static Pruner open(Path model, int threads, DoubleConsumer progress) {
    GgufFile file = GgufFile.open(model);
    try {
      requireDense(file);
      Program program = HeadlessProgram.of(architecture(file).program(file));
      Backend backend = Backends.open("vector", new BackendOptions(threads));
      try {
        Executable executable =
            backend.compile(program, new CompileOptions(ROWS, ROWS, null, progress));
        return new Pruner(file, program, backend, executable);
      } catch (RuntimeException | Error e) {
        backend.close();
        throw e;
      }
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  private static Architecture architecture(GgufFile file) {
    String name = file.metadata().architecture();
    return Architectures.byName(name)
        .orElseThrow(
            () ->
                file.metadata()
                    .fault(
                        "general.architecture",
                        "one of "
                            + Architectures.all().stream()
                                .map(Architecture::name)
                                .collect(Collectors.joining(", ")),
                        name));
  }

  private static void requireDense(GgufFile file) {
    String key = file.metadata().architecture() + ".expert_count";
    if (file.metadata().integer(key, 0) > 0) {
      throw new PruningException(
          file.path() + ": a mixture of experts cannot be pruned: its experts share no neurons");
    }
  }

  /** Numbers that the model's tensors hold. */
  public long parameters() {
    return file.tensors().stream().mapToLong(t -> t.shape().elements()).sum();
  }

  /**
   * Prunes.
   *
   * @param tokens of the text, which decides what is removed
   * @param lead tokens that begin every text, as BOS
   * @param out the file, written completely or not at all; not the model itself
   * @param progress told the finished share, 0 to 1, on this thread; may throw to stop
   * @throws PruningException if the text is too short or the settings do not fit the model
   * @throws IOException if the file cannot be written
   */
  public PruningReport prune(
      int[] tokens, int[] lead, PruningSettings settings, Path out, DoubleConsumer progress)
      throws IOException {
    if (tokens.length < CHUNK) {
      throw new PruningException(
          "the text has %d tokens, and %d are the least that says something about neurons: give a"
                  .formatted(tokens.length, CHUNK)
              + " longer text");
    }
    boolean biased = BIASED.contains(file.metadata().architecture());
    if (settings.compensation() == Compensation.MEAN && !biased) {
      throw new PruningException(
          "W_down has no bias in the architecture %s that could hold a mean: use full or none"
              .formatted(file.metadata().architecture()));
    }
    List<List<Integer>> groups = groups(settings);
    int passes = 1 + groups.size();
    List<NeuronStatistics> statistics =
        layers.stream().map(f -> new NeuronStatistics(f.neurons())).toList();
    read(
        tokens,
        lead,
        (layer, hidden, rows) -> statistics.get(layer).add(hidden, rows),
        share -> progress.accept(share / passes));
    List<int[]> kept = choose(statistics, settings);
    PrunedFile pruned = new PrunedFile(file, settings);
    int pass = 1;
    for (List<Integer> group : groups) {
      Map<Integer, Gram> grams = new HashMap<>();
      group.forEach(layer -> grams.put(layer, new Gram(layers.get(layer).neurons())));
      double done = pass++;
      if (settings.compensation() == Compensation.FULL) {
        read(
            tokens,
            lead,
            (layer, hidden, rows) -> {
              Gram gram = grams.get(layer);
              if (gram != null) {
                gram.add(hidden, rows);
              }
            },
            share -> progress.accept((done + 0.8 * share) / passes));
      }
      for (int layer : group) {
        Op.FeedForward op = layers.get(layer);
        Compensation.Down down =
            settings
                .compensation()
                .apply(
                    decode(op.down().weight().tensor()),
                    op.out().width(),
                    kept.get(layer),
                    statistics.get(layer),
                    grams.remove(layer),
                    biased);
        pruned.layer(op, kept.get(layer), down, statistics.get(layer));
        progress.accept((done + 1 - 0.2 * grams.size() / group.size()) / passes);
      }
    }
    return pruned.write(out);
  }

  /** Layers whose products are held at once; without products all of them are one group. */
  private List<List<Integer>> groups(PruningSettings settings) {
    long each = settings.compensation() == Compensation.FULL ? Gram.bytes(most()) : 0;
    int together = each == 0 ? layers.size() : (int) Math.max(1, GRAM_BYTES / each);
    List<List<Integer>> groups = new ArrayList<>();
    for (int first = 0; first < layers.size(); first += together) {
      List<Integer> group = new ArrayList<>();
      for (int i = first; i < Math.min(layers.size(), first + together); i++) {
        group.add(i);
      }
      groups.add(group);
    }
    return groups;
  }

  private int most() {
    return layers.stream().mapToInt(Op.FeedForward::neurons).max().orElseThrow();
  }

  private List<int[]> choose(List<NeuronStatistics> statistics, PruningSettings settings) {
    List<double[]> scores = new ArrayList<>();
    for (int i = 0; i < layers.size(); i++) {
      double[] norms = columnNorms(layers.get(i).down().weight().tensor());
      scores.add(settings.score().of(statistics.get(i), norms, settings.seed() * 1009 + i));
    }
    int block = settings.block() == 0 ? ownBlock() : settings.block();
    return settings.perLayer()
        ? Allocation.global(scores, settings.share(), block)
        : Allocation.uniform(scores, settings.share(), block);
  }

  /** The largest block of W_down's formats. */
  private int ownBlock() {
    return layers.stream()
        .mapToInt(f -> f.down().weight().tensor().format().blockSize())
        .reduce(Allocation.LEAST_BLOCK, Math::max);
  }

  private static double[] columnNorms(Tensor matrix) {
    double[] squares = new double[matrix.columns()];
    float[] row = new float[matrix.columns()];
    for (int r = 0; r < matrix.rows(); r++) {
      matrix.decodeRow(r, row, 0);
      for (int c = 0; c < row.length; c++) {
        squares[c] += (double) row[c] * row[c];
      }
    }
    return Arrays.stream(squares).map(Math::sqrt).toArray();
  }

  private static float[] decode(Tensor matrix) {
    float[] values = new float[Math.multiplyExact(matrix.rows(), matrix.columns())];
    for (int r = 0; r < matrix.rows(); r++) {
      matrix.decodeRow(r, values, r * matrix.columns());
    }
    return values;
  }

  /** Receives hidden values of one layer, in an array that is used again. */
  @FunctionalInterface
  private interface Hidden {
    void accept(int layer, float[] hidden, int rows);
  }

  private void read(int[] tokens, int[] lead, Hidden receiver, DoubleConsumer progress) {
    float[] hidden = new float[ROWS * most()];
    try (ChunkReader reader =
        new ChunkReader(
            executable, program.logits(), backend.allocateKv(program.kv(), KvFormat.F16), ROWS)) {
      for (int start = 0; start + CHUNK <= tokens.length; start += CHUNK) {
        progress.accept((double) start / tokens.length);
        int[] chunk = Arrays.copyOf(lead, lead.length + CHUNK);
        System.arraycopy(tokens, start, chunk, lead.length, CHUNK);
        reader.read(
            chunk,
            0,
            (index, op, first, rows) -> {
              if (op instanceof Op.FeedForward f) {
                int skipped = Math.max(0, Math.min(rows, lead.length - first));
                for (int row = skipped; row < rows; row++) {
                  executable.read(f.hidden(), row, hidden, (row - skipped) * f.neurons());
                }
                receiver.accept(f.layer(), hidden, rows - skipped);
              }
            });
      }
    }
    progress.accept(1);
  }

  @Override
  public void close() {
    executable.close();
    backend.close();
    file.close();
  }
}
