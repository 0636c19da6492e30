package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * {@link Op.Attention}: softmax attention in two passes over the tokens that are read, all scores
 * first, then the values. Heads that no slice covers read everything.
 */
final class ScalarAttention {
  private final WorkerPool pool;

  ScalarAttention(WorkerPool pool) {
    this.pool = pool;
  }

  /**
   * Some heads of a row that read one key/value head together.
   *
   * @param slice index of the slice that says what they read, or {@link #WHOLE}
   */
  private record Part(int row, int firstHead, int heads, int slice) {
    static final int WHOLE = -1;
  }

  /**
   * Computes all rows.
   *
   * @param pages what was chosen; empty to read everything
   * @return the slices whose audit failed: their heads read everything
   */
  BitSet run(
      Op.Attention op,
      StepInputs inputs,
      ReferenceKvStorage kv,
      PageSelection pages,
      float[] query,
      float[] out) {
    List<Part> parts = parts(op, inputs, kv.layer(op.layer()), pages);
    boolean[] failed = new boolean[parts.size()];
    pool.run(
        parts.size(),
        1,
        (from, to, thread) -> {
          for (int i = from; i < to; i++) {
            failed[i] = !attend(op, inputs, kv, pages, parts.get(i), query, out);
          }
        });
    BitSet escalated = new BitSet();
    for (int i = 0; i < failed.length; i++) {
      if (failed[i]) {
        escalated.set(parts.get(i).slice);
      }
    }
    return escalated;
  }

  private static List<Part> parts(
      Op.Attention op, StepInputs inputs, KvSpec.Layer layer, PageSelection pages) {
    List<Part> parts = new ArrayList<>();
    BitSet covered = new BitSet(inputs.rows() * op.heads());
    for (int s = 0; s < pages.size(); s++) {
      PageSelection.Slice slice = pages.slice(s);
      for (int row = slice.firstRow(); row < slice.firstRow() + slice.rows(); row++) {
        int first = row * op.heads() + slice.firstHead();
        covered.set(first, first + slice.heads());
        parts.add(new Part(row, slice.firstHead(), slice.heads(), s));
      }
    }
    int shared = op.heads() / layer.heads();
    for (int first = 0; first < inputs.rows() * op.heads(); first += shared) {
      int end = first + shared;
      for (int h = covered.nextClearBit(first); h < end; h = covered.nextClearBit(h)) {
        int taken = covered.nextSetBit(h);
        int next = taken < 0 ? end : Math.min(taken, end);
        parts.add(new Part(h / op.heads(), h % op.heads(), next - h, Part.WHOLE));
        h = next;
      }
    }
    return parts;
  }

  /** Computes a part; returns whether its audit, if it has one, was passed. */
  private static boolean attend(
      Op.Attention op,
      StepInputs inputs,
      ReferenceKvStorage kv,
      PageSelection pages,
      Part part,
      float[] query,
      float[] out) {
    KvSpec.Layer layer = kv.layer(op.layer());
    int kvHead = part.firstHead / (op.heads() / layer.heads());
    int at = part.row * op.heads() + part.firstHead;
    Queries queries =
        new Queries(
            query, at * layer.keySize(), layer.keySize(), part.heads, op.scale(), op.softCap());
    Visible visible = visible(op, inputs, kv, part.row);
    if (part.slice != Part.WHOLE && kv instanceof QuantizedKvStorage quantized) {
      PageSelection.Slice slice = pages.slice(part.slice);
      Sight sight = new Sight(quantized, op.layer(), kvHead, visible, queries);
      SliceReader reader = new SliceReader(sight, slice);
      double[][] scores = reader.scores();
      double[] logs = reader.logs(scores);
      WeightedSums sums = reader.sums(scores, logs);
      boolean good =
          slice.samples() == 0
              || (inputs.exactness(inputs.sequence(part.row)) instanceof Exactness.Verified wanted
                  && new Audit(sight, slice, wanted).correct(sums, logs));
      if (good) {
        sums.store(out, at * layer.valueSize());
        return true;
      }
      Arrays.fill(slice.bound(), 0, slice.heads(), 0f); // what follows is DENSE
    }
    new WholeReader(kv, op.layer(), kvHead, visible, queries)
        .read()
        .store(out, at * layer.valueSize());
    return part.slice == Part.WHOLE;
  }

  /** What a row sees. */
  static Visible visible(Op.Attention op, StepInputs inputs, ReferenceKvStorage kv, int row) {
    int last = inputs.position(row);
    int first = op.window() == 0 ? 0 : Math.max(0, last - op.window() + 1);
    return new Visible(inputs.view(inputs.sequence(row), kv.groupOf(op.layer())), first, last);
  }
}
