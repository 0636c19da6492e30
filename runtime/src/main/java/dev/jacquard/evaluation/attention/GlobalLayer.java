package dev.jacquard.evaluation.attention;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.RotaryEmbedding;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A layer without a window: the only kind on which the classes of exactness act.
 *
 * @param select the op that chooses what its attention reads
 * @param kv what it remembers
 * @param rotary how its queries and keys are turned, or null if they are not
 */
record GlobalLayer(Op.SelectPages select, KvSpec.Layer kv, @Nullable RotaryEmbedding rotary) {
  /** The global layers of a program, in order. */
  static List<GlobalLayer> of(List<Op> ops, KvSpec spec) {
    List<GlobalLayer> layers = new ArrayList<>();
    RotaryEmbedding rotary = null;
    for (Op op : ops) {
      switch (op) {
        case Op.MatMul _ -> rotary = null; // the queries of a new layer, or something behind them
        case Op.Rope o -> rotary = o.rotary();
        case Op.SelectPages o ->
            layers.add(new GlobalLayer(o, spec.layers().get(o.layer()), rotary));
        case Op.Embed _,
            Op.RmsNorm _,
            Op.WriteKv _,
            Op.Attention _,
            Op.FeedForward _,
            Op.Add _,
            Op.SelectRows _,
            Op.Head _ -> {}
      }
    }
    return List.copyOf(layers);
  }

  /** Number of the layer in the model. */
  int index() {
    return select.layer();
  }

  /** Query heads that read one key/value head. */
  int shared() {
    return select.heads() / kv.heads();
  }

  /** Bytes of one token of all key/value heads, read whole. */
  long tokenBytes() {
    return KvFormat.Q8.readBytes(kv);
  }
}
