package dev.jacquard.kernels;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * A model as data: ops in order, over named weights and slots, without a row count. Prefill and
 * decode are the same program over another number of rows.
 *
 * @param ops in order of execution
 * @param kv what the layers remember
 * @param logits the slot that holds the result, one row for each output row of the step
 */
public record Program(List<Op> ops, KvSpec kv, Slot logits) {
  /** Checks that every slot is written before it is read and that attention fits the cache. */
  public Program {
    ops = List.copyOf(ops);
    Set<Slot> written = new HashSet<>();
    Map<PageList, Integer> chosen = new HashMap<>();
    for (Op op : ops) {
      if (op instanceof Op.SelectPages o) {
        chosen.put(o.out(), o.layer());
      } else if (op instanceof Op.Attention a
          && a.pages() != null
          && !Objects.equals(chosen.get(a.pages()), a.layer())) {
        throw new IllegalArgumentException(op + " reads pages that were not chosen for its layer");
      }
      for (Slot slot : inputs(op)) {
        if (!written.contains(slot)) {
          throw new IllegalArgumentException(op + " reads " + slot + ", which nothing wrote");
        }
      }
      checkCache(op, kv);
      written.addAll(outputs(op));
    }
    if (!written.contains(logits)) {
      throw new IllegalArgumentException("nothing writes the logits, " + logits);
    }
  }

  private static void checkCache(Op op, KvSpec kv) {
    boolean fits =
        switch (op) {
          case Op.WriteKv(int layer, Slot key, Slot value) -> {
            KvSpec.Layer l = kv.layers().get(layer);
            yield key.width() == l.heads() * l.keySize()
                && value.width() == l.heads() * l.valueSize();
          }
          case Op.Attention a -> {
            KvSpec.Layer l = kv.layers().get(a.layer());
            yield a.query().width() == a.heads() * l.keySize()
                && a.out().width() == a.heads() * l.valueSize()
                && a.heads() % l.heads() == 0
                && (l.window() == 0 || l.window() == a.window());
          }
          case Op.SelectPages o -> {
            KvSpec.Layer l = kv.layers().get(o.layer());
            yield o.query().width() == o.heads() * l.keySize()
                && o.heads() % l.heads() == 0
                && l.window() == 0;
          }
          case Op.Embed _, Op.RmsNorm _, Op.MatMul _, Op.Rope _, Op.Add _ -> true;
          case Op.FeedForward _, Op.SelectRows _, Op.Head _ -> true;
        };
    if (!fits) {
      throw new IllegalArgumentException(op + " does not fit the cache " + kv);
    }
  }

  /** Slots that an op reads. */
  public static List<Slot> inputs(Op op) {
    return switch (op) {
      case Op.Embed _ -> List.of();
      case Op.RmsNorm o -> List.of(o.in());
      case Op.MatMul o -> List.of(o.in());
      case Op.Rope o -> List.of(o.inOut());
      case Op.WriteKv o -> List.of(o.key(), o.value());
      case Op.SelectPages o -> List.of(o.query());
      case Op.Attention o -> List.of(o.query());
      case Op.FeedForward o -> List.of(o.in());
      case Op.Add o -> List.of(o.a(), o.b());
      case Op.SelectRows o -> List.of(o.in());
      case Op.Head o -> List.of(o.in());
    };
  }

  /** Slots that an op writes. */
  public static List<Slot> outputs(Op op) {
    return switch (op) {
      case Op.Embed o -> List.of(o.out());
      case Op.RmsNorm o -> List.of(o.out());
      case Op.MatMul o -> o.projections().stream().map(Op.Projection::out).toList();
      case Op.Rope o -> List.of(o.inOut());
      case Op.WriteKv _, Op.SelectPages _ -> List.of();
      case Op.Attention o -> List.of(o.out());
      case Op.FeedForward o -> List.of(o.hidden(), o.out());
      case Op.Add o -> List.of(o.out());
      case Op.SelectRows o -> List.of(o.out());
      case Op.Head o -> List.of(o.out());
    };
  }

  /** Weights that an op uses. */
  public static List<Weight> weights(Op op) {
    List<Weight> all = new ArrayList<>();
    switch (op) {
      case Op.Embed o -> all.add(o.table());
      case Op.RmsNorm o -> all.add(o.weight());
      case Op.MatMul o -> o.projections().forEach(p -> add(all, p.linear()));
      case Op.FeedForward o -> {
        add(all, o.gate());
        add(all, o.up());
        add(all, o.down());
      }
      case Op.Head o -> add(all, o.output());
      case Op.Rope _, Op.WriteKv _, Op.SelectPages _, Op.Attention _ -> {}
      case Op.Add _, Op.SelectRows _ -> {}
    }
    return all;
  }

  private static void add(List<Weight> all, Op.Linear linear) {
    all.add(linear.weight());
    if (linear.bias() != null) {
      all.add(linear.bias());
    }
  }

  /** Every slot, in order of first use. */
  public Set<Slot> slots() {
    Set<Slot> all = new LinkedHashSet<>();
    for (Op op : ops) {
      all.addAll(inputs(op));
      all.addAll(outputs(op));
    }
    return all;
  }

  /** Every weight once, in order of first use. */
  public Set<Weight> weights() {
    Set<Weight> all = new LinkedHashSet<>();
    for (Op op : ops) {
      all.addAll(weights(op));
    }
    return all;
  }
}
