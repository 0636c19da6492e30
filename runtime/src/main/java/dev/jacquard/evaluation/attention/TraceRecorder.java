package dev.jacquard.evaluation.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.format.F16;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Writes a {@link Trace}: what the layers without a window computed for a real text. A GGUF file of
 * architecture {@code attention-trace} with, for each such layer L of the model:
 *
 * <pre>
 *  trace.tokens, trace.queries, trace.layers, trace.model
 *  layer.L.heads, .kv_heads, .scale, .soft_cap, .pairing, .amplitude, .frequencies (float64)
 *  layer.L.query   F16 [heads·keySize × queries], of the last positions
 *  layer.L.key     F16 [kvHeads·keySize × tokens], turned by their positions
 *  layer.L.value   F16 [kvHeads·valueSize × tokens]
 * </pre>
 */
public final class TraceRecorder {
  private TraceRecorder() {}

  /**
   * Computes {@code text[0 … tokens)} densely and writes queries of the last {@code queries}
   * positions and all keys and values. The file stands under its name only when it is complete.
   *
   * @param lab with a cache that rounds as little as is wanted, F16 at best
   * @throws IOException if the file cannot be written
   */
  public static void record(
      AttentionLab lab,
      int[] text,
      int tokens,
      int queries,
      Path file,
      AttentionQuality.Progress progress)
      throws IOException {
    GgufWriter writer = new GgufWriter();
    writer.put("general.architecture", GgufType.STRING, Trace.ARCHITECTURE);
    writer.put("trace.model", GgufType.STRING, String.valueOf(lab.file().path().getFileName()));
    writer.put("trace.tokens", GgufType.UINT32, tokens);
    writer.put("trace.queries", GgufType.UINT32, queries);
    writer.putArray(
        "trace.layers", GgufType.INT32, lab.layers().stream().map(GlobalLayer::index).toList());
    try (Arena arena = Arena.ofShared();
        KvSequence sequence = lab.newSequence()) {
      MemorySegment[] asked = new MemorySegment[lab.layers().size()];
      for (int i = 0; i < asked.length; i++) {
        long width = lab.layers().get(i).select().query().width();
        asked[i] = arena.allocate(width * queries * Short.BYTES, 64);
      }
      lab.prefill(
          sequence, text, tokens - queries, share -> progress.at("reading the text", share));
      float[] logits = new float[lab.vocabulary()];
      for (int i = 0; i < queries; i++) {
        int row = i;
        progress.at("recording queries", (i + 1.0) / queries);
        lab.decode(
            sequence,
            text[tokens - queries + i],
            Exactness.DENSE,
            (_, op) -> copyQuery(lab, op, asked, row),
            logits);
      }
      for (int i = 0; i < asked.length; i++) {
        progress.at("copying keys and values", (i + 1.0) / asked.length);
        add(writer, lab, lab.layers().get(i), asked[i], tokens, queries, arena);
      }
      writer.write(file);
    }
  }

  private static void copyQuery(AttentionLab lab, Op op, MemorySegment[] asked, int row) {
    if (op instanceof Op.SelectPages select) {
      float[] query = new float[select.query().width()];
      lab.executable().read(select.query(), 0, query, 0);
      for (int i = 0; i < asked.length; i++) {
        if (lab.layers().get(i).index() == select.layer()) {
          long at = (long) row * query.length * Short.BYTES;
          F16.INSTANCE.encode(query, 0, query.length, asked[i], at);
        }
      }
    }
  }

  private static void add(
      GgufWriter writer,
      AttentionLab lab,
      GlobalLayer layer,
      MemorySegment asked,
      int tokens,
      int queries,
      Arena arena) {
    Op.SelectPages select = layer.select();
    KvSpec.Layer kv = layer.kv();
    String name = "layer." + layer.index() + ".";
    writer.put(name + "heads", GgufType.UINT32, select.heads());
    writer.put(name + "kv_heads", GgufType.UINT32, kv.heads());
    writer.put(name + "scale", GgufType.FLOAT32, select.scale());
    writer.put(name + "soft_cap", GgufType.FLOAT32, select.softCap());
    RotaryEmbedding rotary = layer.rotary();
    if (rotary != null) {
      writer.put(name + "pairing", GgufType.STRING, rotary.pairing().name());
      writer.put(name + "amplitude", GgufType.FLOAT32, rotary.amplitude());
      writer.putArray(
          name + "frequencies",
          GgufType.FLOAT64,
          Arrays.stream(rotary.frequencies()).boxed().toList());
    }
    int keyWidth = kv.heads() * kv.keySize();
    int valueWidth = kv.heads() * kv.valueSize();
    MemorySegment keys = arena.allocate((long) tokens * keyWidth * Short.BYTES, 64);
    MemorySegment values = arena.allocate((long) tokens * valueWidth * Short.BYTES, 64);
    copyCache(lab, layer, keys, values, tokens);
    tensor(writer, name + "query", select.query().width(), queries, asked);
    tensor(writer, name + "key", keyWidth, tokens, keys);
    tensor(writer, name + "value", valueWidth, tokens, values);
  }

  private static void tensor(
      GgufWriter writer, String name, int columns, int rows, MemorySegment data) {
    GgmlTypes.Type type = GgmlTypes.byNumber(F16.INSTANCE.ggmlType()).orElseThrow();
    writer.tensor(name, type, Shape.of(columns, rows), GgufWriter.TensorData.of(data));
  }

  /** The view of the last step still names all pages. */
  private static void copyCache(
      AttentionLab lab, GlobalLayer layer, MemorySegment keys, MemorySegment values, int tokens) {
    KvView view = lab.inputs().view(0, lab.program().kv().groupOf(layer.index()));
    KvSpec.Layer kv = layer.kv();
    float[] key = new float[kv.heads() * kv.keySize()];
    float[] value = new float[kv.heads() * kv.valueSize()];
    for (int t = 0; t < tokens; t++) {
      int page = view.page(t / PAGE_TOKENS);
      for (int h = 0; h < kv.heads(); h++) {
        int offset = t % PAGE_TOKENS;
        lab.storage().readKey(layer.index(), page, offset, h, key, h * kv.keySize());
        lab.storage().readValue(layer.index(), page, offset, h, value, h * kv.valueSize());
      }
      F16.INSTANCE.encode(key, 0, key.length, keys, (long) t * key.length * Short.BYTES);
      F16.INSTANCE.encode(value, 0, value.length, values, (long) t * value.length * Short.BYTES);
    }
  }
}
