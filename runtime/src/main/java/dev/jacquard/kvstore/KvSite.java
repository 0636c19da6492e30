package dev.jacquard.kvstore;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.Slot;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where a program computes the keys and values of a layer.
 *
 * @param layer the layer
 * @param key slot of the keys
 * @param keyIndex the op after which it holds them as they are before they are turned
 * @param rotary how they are turned, or null if they are not
 * @param value slot of the values
 * @param writeIndex the op that caches both
 */
record KvSite(
    int layer,
    Slot key,
    int keyIndex,
    @Nullable RotaryEmbedding rotary,
    Slot value,
    int writeIndex) {
  /** The sites of all layers, in the order of the program. */
  static List<KvSite> of(Program program) {
    List<KvSite> sites = new ArrayList<>();
    for (int i = 0; i < program.ops().size(); i++) {
      if (program.ops().get(i) instanceof Op.WriteKv(int layer, Slot key, Slot value)) {
        sites.add(site(program.ops(), layer, key, value, i));
      }
    }
    return sites;
  }

  private static KvSite site(List<Op> ops, int layer, Slot key, Slot value, int writeIndex) {
    int last = lastWriter(ops, key, writeIndex);
    return ops.get(last) instanceof Op.Rope(Slot _, int _, RotaryEmbedding rotary)
        ? new KvSite(layer, key, lastWriter(ops, key, last), rotary, value, writeIndex)
        : new KvSite(layer, key, last, null, value, writeIndex);
  }

  /** The last op before {@code end} that writes {@code slot}; there is one in every program. */
  private static int lastWriter(List<Op> ops, Slot slot, int end) {
    int i = end - 1;
    while (!Program.outputs(ops.get(i)).contains(slot)) {
      i--;
    }
    return i;
  }
}
