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
    boolean toScore = settings.score().needsProducts();
    boolean full = settings.compensation() == Compensation.FULL;
    List<List<Integer>> groups = groups(toScore || full);
    // The scores of all layers together say how many each loses: products are then read for these
    // first, and again for the compensation, unless all of them can be held.
    boolean first = settings.perLayer() && toScore;
    boolean again = settings.perLayer() ? full && !(first && groups.size() == 1) : toScore || full;
    int passes = 1 + (first ? groups.size() : 0) + (again ? groups.size() : 0);
    Reading reading = new Reading(tokens, lead, progress, passes);
    List<NeuronStatistics> statistics =
        layers.stream().map(f -> new NeuronStatistics(f.neurons())).toList();
    read(reading, (layer, hidden, rows) -> statistics.get(layer).add(hidden, rows));

    Map<Integer, Products> held = new HashMap<>();
    List<int[]> kept = List.of();
    if (settings.perLayer()) {
      List<double[]> scores = new ArrayList<>();
      for (List<Integer> group : groups) {
        hold(held, group, first, statistics, biased, reading);
        group.forEach(i -> scores.add(score(i, statistics, held, settings)));
      }
      kept = Allocation.global(scores, settings.share(), block(settings));
    }
    PrunedFile pruned = new PrunedFile(file, settings);
    for (List<Integer> group : groups) {
      if (again) {
        hold(held, group, true, statistics, biased, reading);
      }
      for (int i : group) {
        int[] own =
            settings.perLayer()
                ? kept.get(i)
                : Allocation.uniform(
                        List.of(score(i, statistics, held, settings)),
                        settings.share(),
                        block(settings))
                    .getFirst();
        Op.FeedForward op = layers.get(i);
        Compensation.Down down =
            settings
                .compensation()
                .apply(
                    decode(op.down().weight().tensor()),
                    op.out().width(),
                    own,
                    statistics.get(i),
                    held.remove(i),
                    biased);
        pruned.layer(op, own, down, statistics.get(i));
        reading.at(0);
      }
    }
    return pruned.write(out);
  }

  /** A text that is read several times. */
  private static final class Reading {
    private final int[] tokens;
    private final int[] lead;
    private final DoubleConsumer progress;
    private final int passes;
    private int done;

    Reading(int[] tokens, int[] lead, DoubleConsumer progress, int passes) {
      this.tokens = tokens;
      this.lead = lead;
      this.progress = progress;
      this.passes = passes;
    }

    void at(double share) {
      progress.accept((done + share) / passes);
    }
  }

  /** Replaces what is held by the products of a group, from one reading of the text. */
  private void hold(
      Map<Integer, Products> held,
      List<Integer> group,
      boolean needed,
      List<NeuronStatistics> statistics,
      boolean centred,
      Reading reading) {
    held.clear();
    if (needed) {
      Map<Integer, Gram> grams = new HashMap<>();
      group.forEach(layer -> grams.put(layer, new Gram(layers.get(layer).neurons())));
      read(
          reading,
          (layer, hidden, rows) -> {
            Gram gram = grams.get(layer);
            if (gram != null) {
              gram.add(hidden, rows);
            }
          });
      grams.forEach(
          (layer, gram) -> held.put(layer, new Products(gram, statistics.get(layer), centred)));
    }
  }

  private double[] score(
      int layer,
      List<NeuronStatistics> statistics,
      Map<Integer, Products> products,
      PruningSettings settings) {
    double[] norms = columnNorms(layers.get(layer).down().weight().tensor());
    return settings
        .score()
        .of(statistics.get(layer), norms, products.get(layer), settings.seed() * 1009 + layer);
  }

  /** Layers whose products are held at once; without products all of them are one group. */
  private List<List<Integer>> groups(boolean products) {
    long each = products ? Gram.bytes(most()) : 0;
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

  private int block(PruningSettings settings) {
    return settings.block() == 0 ? ownBlock(settings.share()) : settings.block();
  }

  /** The largest block of W_down's formats, or the least where that would remove nothing. */
  private int ownBlock(double share) {
    int block =
        layers.stream()
            .mapToInt(f -> f.down().weight().tensor().format().blockSize())
            .reduce(Allocation.LEAST_BLOCK, Math::max);
    int fewest = layers.stream().mapToInt(Op.FeedForward::neurons).min().orElseThrow();
    return share * fewest < 0.5 * block ? Allocation.LEAST_BLOCK : block;
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

  private void read(Reading reading, Hidden receiver) {
    int[] tokens = reading.tokens;
    int[] lead = reading.lead;
    float[] hidden = new float[ROWS * most()];
    try (ChunkReader reader =
        new ChunkReader(
            executable, program.logits(), backend.allocateKv(program.kv(), KvFormat.F16), ROWS)) {
      for (int start = 0; start + CHUNK <= tokens.length; start += CHUNK) {
        reading.at((double) start / tokens.length);
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
    reading.done++;
    reading.at(0);
  }

  @Override
  public void close() {
    executable.close();
    backend.close();
    file.close();
  }
}
