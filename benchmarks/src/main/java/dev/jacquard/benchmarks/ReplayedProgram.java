package dev.jacquard.benchmarks;

import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageList;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Programs whose attention sees the queries, keys and values of a {@link ReplayedText}: before they
 * are cached they are looked up in tables, by the token of the row, which is the number of a query.
 * All else is computed as ever, and backends may join ops as ever.
 */
final class ReplayedProgram {
  private final ReplayedText text;
  private final Arena arena;
  private final List<Op> ops = new ArrayList<>();

  private ReplayedProgram(ReplayedText text, Arena arena) {
    this.text = text;
    this.arena = arena;
  }

  /** The ops of {@code program}; the tables are in {@code arena}. */
  static Program of(Program program, ReplayedText text, Arena arena) {
    return of(program.ops(), program.kv(), program.logits(), text, arena);
  }

  /** Attention of a trace's layers and nothing else. */
  static Program attention(Trace trace, ReplayedText text, Arena arena) {
    PageList pages = new PageList("pages");
    List<Op> ops = new ArrayList<>();
    List<KvSpec.Layer> layers = new ArrayList<>();
    Slot out = new Slot("none", 1, Domain.ALL);
    for (Trace.Layer layer : trace.layers()) {
      KvSpec.Layer kv = layer.kv();
      int i = layers.size();
      Slot query = new Slot("query" + i, layer.heads() * kv.keySize(), Domain.ALL);
      Slot key = new Slot("key" + i, kv.heads() * kv.keySize(), Domain.ALL);
      Slot value = new Slot("value" + i, kv.heads() * kv.valueSize(), Domain.ALL);
      out = new Slot("out" + i, layer.heads() * kv.valueSize(), Domain.ALL);
      int heads = layer.heads();
      ops.add(new Op.WriteKv(i, key, value));
      ops.add(new Op.SelectPages(i, query, heads, layer.scale(), layer.softCap(), pages));
      ops.add(new Op.Attention(i, query, out, heads, layer.scale(), 0, layer.softCap(), pages));
      layers.add(kv);
    }
    return of(ops, new KvSpec(layers), out, text, arena);
  }

  private static Program of(List<Op> ops, KvSpec kv, Slot result, ReplayedText text, Arena arena) {
    Map<Integer, Slot> queries = new HashMap<>();
    for (Op op : ops) {
      if (op instanceof Op.Attention attention) {
        queries.put(attention.layer(), attention.query());
      }
    }
    ReplayedProgram replayed = new ReplayedProgram(text, arena);
    for (Op op : ops) {
      if (op instanceof Op.WriteKv(int layer, Slot key, Slot value)) {
        replayed.lookUp(layer, Objects.requireNonNull(queries.get(layer)), key, value);
      }
      replayed.ops.add(op);
    }
    return new Program(replayed.ops, kv, result);
  }

  private void lookUp(int layer, Slot query, Slot key, Slot value) {
    float[] keys = new float[key.width()];
    float[] values = new float[value.width()];
    int first = text.length() - text.queries();
    add("query", layer, query, (i, row) -> text.query(layer, i, row));
    add("key", layer, key, (i, row) -> text.cached(layer, first + i, row, values));
    add("value", layer, value, (i, row) -> text.cached(layer, first + i, keys, row));
  }

  private interface Rows {
    void read(int row, float[] target);
  }

  private void add(String name, int layer, Slot slot, Rows rows) {
    F32 format = F32.INSTANCE;
    MemorySegment data = arena.allocate(format.bytes((long) text.queries() * slot.width()), 64);
    float[] row = new float[slot.width()];
    for (int i = 0; i < text.queries(); i++) {
      rows.read(i, row);
      format.encode(row, 0, row.length, data, i * format.bytes(row.length));
    }
    Tensor table = new Tensor(format, Shape.of(slot.width(), text.queries()), data);
    ops.add(new Op.Embed(new Weight("replayed." + layer + "." + name, table), 1, slot));
  }
}
