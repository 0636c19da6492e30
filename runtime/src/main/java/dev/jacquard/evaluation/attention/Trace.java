package dev.jacquard.evaluation.attention;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelMetadata;
import dev.jacquard.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Queries, keys and values of real heads, recorded by {@link TraceRecorder}, and repeated to any
 * length: the end of the text comes to stand at the end, and what lies before it is repeated
 * backwards; the first {@link #SINKS} tokens stay the first. Keys and queries are turned from the
 * position where they were recorded to that where they stand, so that the scores of a query within
 * the last copy are those that were recorded. One thread uses a trace; the owner closes it.
 */
public final class Trace implements AutoCloseable {
  /** What the file says it is. */
  static final String ARCHITECTURE = "attention-trace";

  /** Tokens that are not repeated, since much of the weight rests on them. */
  public static final int SINKS = 16;

  /**
   * A layer.
   *
   * @param index in the model
   * @param heads query heads
   * @param kv key/value heads and their sizes
   * @param scale factor on the scores
   * @param softCap as in {@code Op.Attention}
   * @param rotary how it was turned, or null
   */
  public record Layer(
      int index,
      int heads,
      KvSpec.Layer kv,
      float scale,
      float softCap,
      @Nullable RotaryEmbedding rotary) {}

  private record Data(Tensor query, Tensor key, Tensor value) {}

  private final GgufFile file;
  private final int tokens;
  private final int queries;
  private final List<Layer> layers = new ArrayList<>();
  private final List<Data> data = new ArrayList<>();

  /** Cosines and sines of the turn that was made last, and whose it was. */
  private double[] turn = {};

  private @Nullable RotaryEmbedding turned;
  private int turnedBy;

  private Trace(GgufFile file) {
    this.file = file;
    ModelMetadata metadata = file.metadata();
    if (!metadata.architecture().equals(ARCHITECTURE)) {
      throw metadata.fault("general.architecture", ARCHITECTURE, metadata.architecture());
    }
    tokens = metadata.integer("trace.tokens");
    queries = metadata.integer("trace.queries");
    if (queries < 1 || queries > tokens || tokens <= SINKS) {
      throw metadata.fault("trace.queries", "from 1 to the number of tokens", "" + queries);
    }
    for (int index : metadata.integers("trace.layers")) {
      add(metadata, index);
    }
  }

  private void add(ModelMetadata metadata, int index) {
    String name = "layer." + index + ".";
    int heads = metadata.integer(name + "heads");
    int kvHeads = metadata.integer(name + "kv_heads");
    Tensor query = tensor(name + "query", queries);
    Tensor key = tensor(name + "key", tokens);
    Tensor value = tensor(name + "value", tokens);
    if (heads < 1
        || kvHeads < 1
        || heads % kvHeads != 0
        || key.columns() % kvHeads != 0
        || value.columns() % kvHeads != 0
        || query.columns() != heads * (key.columns() / kvHeads)) {
      throw metadata.fault(name + "heads", "what the shapes of the tensors say", "" + heads);
    }
    RotaryEmbedding rotary = null;
    if (metadata.has(name + "frequencies")) {
      String pairing = metadata.string(name + "pairing");
      if (!(metadata.get(name + "frequencies").orElseThrow() instanceof double[] frequencies)
          || 2 * frequencies.length > key.columns() / kvHeads) {
        throw metadata.fault(
            name + "frequencies", "float64, at most one for each pair", "something else");
      }
      rotary =
          new RotaryEmbedding(
              switch (pairing.toLowerCase(Locale.ROOT)) {
                case "neighbours" -> Pairing.NEIGHBOURS;
                case "halves" -> Pairing.HALVES;
                default -> throw metadata.fault(name + "pairing", "NEIGHBOURS or HALVES", pairing);
              },
              frequencies,
              (float) metadata.number(name + "amplitude"));
    }
    layers.add(
        new Layer(
            index,
            heads,
            new KvSpec.Layer(kvHeads, key.columns() / kvHeads, value.columns() / kvHeads, 0),
            (float) metadata.number(name + "scale"),
            (float) metadata.number(name + "soft_cap"),
            rotary));
    data.add(new Data(query, key, value));
  }

  private Tensor tensor(String name, int rows) {
    Tensor tensor =
        file.tensor(name)
            .orElseThrow(() -> file.metadata().fault(name, "a tensor of the file", "no such one"));
    if (tensor.rows() != rows) {
      throw file.metadata().fault(name, "a tensor of " + rows + " rows", tensor.rows() + " rows");
    }
    return tensor;
  }

  /**
   * Opens a file.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if it is no trace
   */
  public static Trace open(Path path) {
    GgufFile file = GgufFile.open(path);
    try {
      return new Trace(file);
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  /** The file. */
  public ModelFile file() {
    return file;
  }

  /** Layers, in the order of the model. */
  public List<Layer> layers() {
    return List.copyOf(layers);
  }

  /** Tokens of the recorded text. */
  public int tokens() {
    return tokens;
  }

  /** Positions at the end of which queries were recorded. */
  public int queries() {
    return queries;
  }

  /**
   * The recorded position that stands at {@code position} of a text of {@code length} tokens.
   *
   * @param length at least {@link #SINKS} and one; less than was recorded leaves out what follows
   *     the first tokens
   */
  public int source(int position, int length) {
    return position < SINKS
        ? position
        : SINKS + Math.floorMod(position - length + tokens - SINKS, tokens - SINKS);
  }

  /**
   * Keys, all heads, of a position of a text of {@code length} tokens.
   *
   * @param layer index in {@link #layers}
   */
  public void key(int layer, int position, int length, float[] target) {
    int source = source(position, length);
    data.get(layer).key.decodeRow(source, target, 0);
    rotate(layers.get(layer), position - source, target, data.get(layer).key.columns());
  }

  /** Values, all heads, of a position of a text of {@code length} tokens. */
  public void value(int layer, int position, int length, float[] target) {
    data.get(layer).value.decodeRow(source(position, length), target, 0);
  }

  /**
   * Queries, all heads, of one of the last positions of a text of {@code length} tokens: {@code
   * length − queries() + query}.
   */
  public void query(int layer, int query, int length, float[] target) {
    data.get(layer).query.decodeRow(query, target, 0);
    rotate(layers.get(layer), length - tokens, target, data.get(layer).query.columns());
  }

  /** Turns heads by a number of positions; the amplitude is in what was recorded. */
  private void rotate(Layer layer, int by, float[] heads, int width) {
    RotaryEmbedding rotary = layer.rotary();
    if (rotary == null || by == 0) {
      return;
    }
    int pairs = rotary.frequencies().length;
    if (by != turnedBy || !rotary.equals(turned)) {
      turn = new double[2 * pairs];
      for (int j = 0; j < pairs; j++) {
        turn[2 * j] = Math.cos(by * rotary.frequencies()[j]);
        turn[2 * j + 1] = Math.sin(by * rotary.frequencies()[j]);
      }
      turned = rotary;
      turnedBy = by;
    }
    boolean neighbours = rotary.pairing() == Pairing.NEIGHBOURS;
    for (int head = 0; head < width; head += layer.kv().keySize()) {
      for (int j = 0; j < pairs; j++) {
        int a = head + (neighbours ? 2 * j : j);
        int b = a + (neighbours ? 1 : pairs);
        double xa = heads[a];
        double xb = heads[b];
        heads[a] = (float) (xa * turn[2 * j] - xb * turn[2 * j + 1]);
        heads[b] = (float) (xa * turn[2 * j + 1] + xb * turn[2 * j]);
      }
    }
  }

  @Override
  public void close() {
    file.close();
  }
}
