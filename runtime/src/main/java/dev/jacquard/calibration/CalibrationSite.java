package dev.jacquard.calibration;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import java.util.ArrayList;
import java.util.List;

/**
 * A layer that can be sketched: where a program chooses among its tokens.
 *
 * @param index the op that chooses, before which keys and queries are turned
 * @param select the op itself
 * @param key slot of the layer's keys, still as they were cached
 * @param spec what the layer remembers
 */
record CalibrationSite(int index, Op.SelectPages select, Slot key, KvSpec.Layer spec) {
  /** All such layers, in the order of the program. */
  static List<CalibrationSite> of(Program program) {
    List<CalibrationSite> sites = new ArrayList<>();
    Slot key = null;
    for (int i = 0; i < program.ops().size(); i++) {
      Op op = program.ops().get(i);
      if (op instanceof Op.WriteKv write) {
        key = write.key();
      } else if (op instanceof Op.SelectPages select && key != null) {
        sites.add(new CalibrationSite(i, select, key, program.kv().layers().get(select.layer())));
      }
    }
    return sites;
  }

  int layer() {
    return select.layer();
  }

  /** Query heads that read one key/value head. */
  int group() {
    return select.heads() / spec.heads();
  }
}
