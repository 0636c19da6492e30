package dev.jacquard.calibration;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.Program;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;

/**
 * Makes the balanced bases of a model. The text is cut into chunks, and each is computed by itself
 * at another place of the context, because queries and keys are turned by their position. Every
 * eighth chunk is left for the measurement of the error. The last rows of chunks are computed again
 * with noise in one layer, for the factors on the limits of the layers ({@link Sensitivity}).
 *
 * <p>Runs steps of the executable, so whoever calls must be its one thread.
 */
public final class Calibrator {
  /** Tokens of a chunk. */
  static final int CHUNK = 1024;

  /** Fewer tokens than this give no basis worth having. */
  public static final int LEAST_TOKENS = 2048;

  /** Output rows of a step that a calibration has use for. */
  public static final int MOST_OUTPUTS = Sensitivity.ROWS;

  /** Tokens that a calibration reads unless told otherwise. */
  public static final int DEFAULT_TOKENS = 16384;

  /**
   * Rows that begin a chunk and are not counted: keys that all queries attend to (Xiao et al.,
   * "Efficient streaming language models with attention sinks", 2023) are outliers, and are always
   * read in 8 bits.
   */
  private static final int SINKS = 16;

  private static final int HELD_OUT_EVERY = 8;

  private final Backend backend;
  private final Executable executable;
  private final Program program;
  private final int maxRows;
  private final int maxOutputs;
  private final int context;

  /**
   * A calibrator of one model.
   *
   * @param maxRows most rows of a step
   * @param maxOutputs most rows of a step whose logits are wanted; with fewer than {@link
   *     #MOST_OUTPUTS} it takes longer
   * @param context most tokens of a session: chunks are spread over so many positions
   */
  public Calibrator(
      Backend backend,
      Executable executable,
      Program program,
      int maxRows,
      int maxOutputs,
      int context) {
    this.backend = backend;
    this.executable = executable;
    this.program = program;
    this.maxRows = maxRows;
    this.maxOutputs = maxOutputs;
    this.context = context;
  }

  @SuppressWarnings("ArrayRecordComponent") // private, never compared
  private record Chunk(int[] tokens, int position, boolean heldOut) {}

  /** Whether the model has a layer that can be sketched. */
  public boolean possible() {
    return !CalibrationSite.of(program).isEmpty();
  }

  /**
   * Reads a text and makes the bases.
   *
   * @param lead tokens that begin every text, as BOS
   * @param tokens the text, at least {@link #LEAST_TOKENS}
   * @param source what text it is, for the file
   * @param progress told the finished share, 0 to 1; may throw to stop
   * @throws CalibrationException if no layer can be sketched, the text is too short, or the model
   *     computes numbers that are not finite
   */
  public Calibration calibrate(int[] lead, int[] tokens, String source, DoubleConsumer progress) {
    List<CalibrationSite> sites = CalibrationSite.of(program);
    if (sites.isEmpty()) {
      throw new CalibrationException(
          "the model has no layer without a window, so there is nothing to calibrate");
    }
    if (tokens.length < LEAST_TOKENS) {
      throw new CalibrationException(
          "the text has %d tokens, and at least %d are needed: give a longer one"
              .formatted(tokens.length, LEAST_TOKENS));
    }
    List<LayerCalibration> layers = sites.stream().map(LayerCalibration::new).toList();
    Sensitivity sensitivity = new Sensitivity(executable, sites, program.logits().width());
    List<Chunk> chunks = chunks(lead, tokens);
    int done = 0;
    try (ChunkReader reader =
        new ChunkReader(
            executable,
            program.logits(),
            backend.allocateKv(program.kv(), KvFormat.F16),
            sites,
            maxRows,
            maxOutputs)) {
      for (Chunk chunk : chunks.stream().filter(c -> !c.heldOut()).toList()) {
        progress.accept((double) done++ / chunks.size());
        reader.read(
            chunk.tokens(),
            chunk.position(),
            (site, queries, keys, first, rows) ->
                layers.get(site).add(queries, keys, skipped(lead, first), rows));
        sensitivity.examine(reader, chunk.tokens(), chunk.position(), skipped(lead, 0));
      }
      layers.forEach(LayerCalibration::balance);
      for (Chunk chunk : chunks.stream().filter(Chunk::heldOut).toList()) {
        progress.accept((double) done++ / chunks.size());
        reader.read(
            chunk.tokens(),
            chunk.position(),
            (site, queries, keys, first, rows) ->
                layers.get(site).measure(queries, keys, skipped(lead, first), rows));
        sensitivity.examine(reader, chunk.tokens(), chunk.position(), skipped(lead, 0));
      }
    }
    progress.accept(1);
    List<Float> tolerances = sensitivity.tolerances();
    for (int i = 0; i < layers.size(); i++) {
      layers.get(i).tolerate(tolerances.get(i));
    }
    return new Calibration(
        layers.stream().map(LayerCalibration::bases).toList(),
        layers.stream().map(LayerCalibration::report).toList(),
        tokens.length,
        source);
  }

  /** Rows of a step that are not counted. */
  private static int skipped(int[] lead, int first) {
    return Math.max(0, lead.length + SINKS - first);
  }

  /** The text in chunks, spread evenly over the context. */
  private List<Chunk> chunks(int[] lead, int[] tokens) {
    int length = Math.min(CHUNK, context - lead.length);
    int count = (tokens.length + length - 1) / length;
    int room = context - lead.length - length;
    List<Chunk> chunks = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] part =
          Arrays.copyOfRange(tokens, i * length, Math.min(tokens.length, (i + 1) * length));
      int position = count == 1 ? 0 : (int) ((long) room * i / (count - 1));
      chunks.add(
          new Chunk(
              IntStream.concat(IntStream.of(lead), IntStream.of(part)).toArray(),
              position,
              i % HELD_OUT_EVERY == HELD_OUT_EVERY / 2));
    }
    return chunks;
  }
}
