package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Weights of feed-forward layers by neuron, beside the packed matrices: made from the stored
 * tensors when a step first needs them. One thread calls it; the pool's threads pack.
 */
final class NeuronWeights implements AutoCloseable {
  /** Sets whose gathered weights stay although the present step does not use them. */
  private static final int SETS_KEPT = 2;

  private final WorkerPool pool;
  private final Arena arena = Arena.ofShared();
  private final Map<String, DownColumns> columns = new HashMap<>();
  private final Map<String, UpRows> rows = new HashMap<>();

  /** What was used last stands last. */
  private final List<GatheredNeurons> sets = new ArrayList<>();

  private long step;
  private boolean closed;

  NeuronWeights(WorkerPool pool) {
    this.pool = pool;
  }

  /** W_down of a layer by neuron. */
  DownColumns down(Op.FeedForward op) {
    DownColumns packed = columns.get(op.down().weight().name());
    if (packed == null) {
      packed = packDown(op.down().weight().tensor());
      columns.put(op.down().weight().name(), packed);
    }
    return packed;
  }

  private DownColumns packDown(Tensor down) {
    int width = down.rows();
    int neurons = down.columns();
    BlockCodes codes = BlockCodes.of(down.format());
    if (codes != null) {
      MemorySegment data = arena.allocate(CodeColumns.bytes(codes, width, neurons), 64);
      CodeColumns view = CodeColumns.view(codes, width, neurons, data);
      share(view.strips(), strip -> CodeColumns.pack(down, codes, strip, data));
      return view;
    }
    FloatColumns.Storage storage = FloatColumns.Storage.of(down.format());
    MemorySegment data = arena.allocate(FloatColumns.bytes(storage, width, neurons), 64);
    FloatColumns view = FloatColumns.view(storage, width, neurons, data);
    share(view.strips(), strip -> FloatColumns.pack(down, storage, strip, data));
    return view;
  }

  /** W_up of a layer by neuron. */
  UpRows up(Op.FeedForward op) {
    UpRows packed = rows.get(op.up().weight().name());
    if (packed == null) {
      packed = packUp(op.up().weight().tensor());
      rows.put(op.up().weight().name(), packed);
    }
    return packed;
  }

  private UpRows packUp(Tensor up) {
    BlockCodes codes = BlockCodes.of(up.format());
    if (codes == null) {
      return new UpRows.Stored(up);
    }
    MemorySegment data = arena.allocate(CodeRows.bytes(codes, up.rows(), up.columns()), 64);
    int part = 16;
    share(
        (up.rows() + part - 1) / part,
        i -> CodeRows.pack(up, codes, i * part, Math.min(up.rows(), (i + 1) * part), data));
    return CodeRows.view(codes, up.rows(), up.columns(), data);
  }

  /** Work on one of several parts. */
  private interface PartTask {
    void run(int part);
  }

  private void share(int parts, PartTask task) {
    pool.run(
        parts,
        1,
        (from, to, thread) -> {
          for (int i = from; i < to; i++) {
            task.run(i);
          }
        });
  }

  /** Frees what was gathered for sets that are not in use any more, before a step. */
  void begin(StepInputs inputs) {
    step++;
    for (int s = 0; s < inputs.sequences(); s++) {
      if (inputs.neurons(s) instanceof NeuronRule.Listed(NeuronSet set)) {
        GatheredNeurons gathered = take(set);
        gathered.use(step);
        sets.add(gathered);
      }
    }
    while (sets.size() > SETS_KEPT && sets.getFirst().lastUse() < step) {
      sets.removeFirst().close();
    }
  }

  private GatheredNeurons take(NeuronSet set) {
    for (int i = 0; i < sets.size(); i++) {
      if (sets.get(i).set() == set) {
        return sets.remove(i);
      }
    }
    return new GatheredNeurons(set);
  }

  /** The weights of the neurons of a set, which the present step uses. */
  GatheredNeurons.Layer gathered(Op.FeedForward op, NeuronSet set) {
    for (GatheredNeurons gathered : sets) {
      if (gathered.set() == set) {
        return gathered.layer(op, pool, down(op));
      }
    }
    throw new IllegalStateException("the step does not use " + set);
  }

  /** Bytes outside the heap. */
  long bytes() {
    return columns.values().stream().mapToLong(DownColumns::bytes).sum()
        + rows.values().stream().mapToLong(UpRows::bytes).sum()
        + sets.stream().mapToLong(GatheredNeurons::bytes).sum();
  }

  /** Frees everything. Twice does nothing. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      sets.forEach(GatheredNeurons::close);
      sets.clear();
      columns.clear();
      rows.clear();
      arena.close();
    }
  }
}
