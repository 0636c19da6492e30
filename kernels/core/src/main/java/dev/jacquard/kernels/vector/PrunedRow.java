package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.PackedMatrix.TILE;

import dev.jacquard.kernels.NeuronLimits;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronRule.Magnitude;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One row of a feed-forward layer with some of its neurons: gate and up of all or of gathered
 * neurons, a list of those that count, and W_down by neuron.
 */
final class PrunedRow {
  /** Buffers that the layers of a program share; sizes are the largest of any. */
  static final class Workspace {
    /** Hidden values, or activations of the gate, of all neurons or of those of a set. */
    private final float[] values;

    private final int[] list;

    /** Hidden values of the neurons of the list. */
    private final float[] kept;

    private float[] prepared = {};

    Workspace(int neurons) {
      values = new float[neurons];
      list = new int[neurons];
      kept = new float[neurons];
    }
  }

  private final Op.FeedForward op;
  private final NeuronWeights weights;
  private final Activations x;
  private final Workspace work;
  private final float[] in;
  private final float[] hidden;
  private final float[] out;
  private final PackedMatrix gate;
  private final float @Nullable [] gateBias;
  private final float @Nullable [] upBias;
  private final float @Nullable [] downBias;
  private final float[][] buffers;
  private final GateStage gateAndUp;
  private GatheredNeurons.@Nullable Layer gathered;
  private GateStage gatheredStage;
  private final long gateBytes;
  private final long upBytes;

  // What the loops below compute; set before each of them.
  private @Nullable UpRows up;
  private @Nullable DownColumns down;
  private int[] list;
  private float[] kept;
  private int count;
  private int outOffset;

  private final WorkerPool.Task gateLoop = this::gate;
  private final WorkerPool.Task upLoop = this::up;
  private final WorkerPool.Task downLoop = this::down;

  /**
   * A layer.
   *
   * @param x where activations are prepared
   * @param gate all rows of W_gate, without bias
   * @param up all rows of W_up
   * @param buffers one for each thread, enlarged as needed; may be shared with other stages
   */
  PrunedRow(
      Op.FeedForward op,
      NeuronWeights weights,
      Workspace work,
      Activations x,
      PackedMatrix gate,
      PackedMatrix up,
      float[] in,
      float[] hidden,
      float[] out,
      float[][] buffers) {
    this.op = op;
    this.weights = weights;
    this.work = work;
    this.x = x;
    this.gate = gate;
    this.in = in;
    this.hidden = hidden;
    this.out = out;
    this.buffers = buffers;
    gateBias = Plan.bias(op.gate());
    upBias = Plan.bias(op.up());
    downBias = Plan.bias(op.down());
    gateAndUp = gateStage(gate, gateBias, up, upBias);
    gatheredStage = gateAndUp;
    gateBytes = gate.bytes() + biasBytes(op.gate());
    upBytes = up.bytes() + biasBytes(op.up());
    list = work.list;
    kept = work.kept;
  }

  private GateStage gateStage(
      PackedMatrix gateRows,
      float @Nullable [] gateRowsBias,
      PackedMatrix upRows,
      float @Nullable [] upRowsBias) {
    return new GateStage(
        op.in().domain(),
        x,
        new MatMulStage.Product(gateRows, gateRowsBias, work.values),
        upRows,
        upRowsBias,
        op.activation(),
        buffers);
  }

  private static long biasBytes(Op.Linear linear) {
    return linear.bias() == null ? 0 : linear.bias().tensor().data().byteSize();
  }

  /** How many neurons counted. */
  int count() {
    return count;
  }

  /** Computes row {@code row} of the layer's slots; returns how many bytes of weights it read. */
  long run(Step step, int row, NeuronRule rule) {
    int width = op.in().width();
    x.begin(1, width);
    x.prepare(in, row * width, width, 0, 1);
    WorkerPool pool = step.pool();
    long bytes =
        switch (rule) {
          case NeuronRule.All _ -> throw new IllegalArgumentException("nothing is left out");
          case NeuronRule.Listed(NeuronSet set) -> listed(pool, set);
          case NeuronRule.Above(Magnitude magnitude, NeuronLimits limits) ->
              switch (magnitude) {
                case HIDDEN -> aboveHidden(pool, limits.of(op.layer()));
                case GATE -> aboveGate(pool, limits.of(op.layer()));
              };
        };
    DownColumns columns = Objects.requireNonNull(down);
    outOffset = row * op.out().width();
    pool.run(columns.strips(), 1, downLoop);
    if (downBias != null) {
      for (int i = 0; i < downBias.length; i++) {
        out[outOffset + i] += downBias[i];
      }
    }
    if (step.observed()) {
      int at = row * op.neurons();
      Arrays.fill(hidden, at, at + op.neurons(), 0);
      for (int j = 0; j < count; j++) {
        hidden[at + list[j]] = kept[j];
      }
    }
    return bytes + columns.bytes(list, count) + biasBytes(op.down());
  }

  private long listed(WorkerPool pool, NeuronSet set) {
    GatheredNeurons.Layer layer = weights.gathered(op, set);
    if (layer != gathered) {
      gathered = layer;
      gatheredStage = gateStage(layer.gate, layer.gateBias, layer.up, layer.upBias);
    }
    gatheredStage.run(pool);
    list = layer.neurons;
    down = layer.down;
    kept = work.values;
    count = list.length;
    long biases = (biasBytes(op.gate()) + biasBytes(op.up())) / op.neurons() * count;
    return layer.gate.bytes() + layer.up.bytes() + biases;
  }

  private long aboveHidden(WorkerPool pool, float[] limits) {
    gateAndUp.run(pool);
    select(limits);
    for (int j = 0; j < count; j++) {
      kept[j] = work.values[list[j]];
    }
    return gateBytes + upBytes;
  }

  private long aboveGate(WorkerPool pool, float[] limits) {
    int grain = MatMulStage.grain(gate.tiles(), pool.threads());
    GateStage.enlarge(buffers, 2 * grain * TILE);
    pool.run(gate.tiles(), grain, gateLoop);
    select(limits);
    UpRows rows = weights.up(op);
    up = rows;
    if (work.prepared.length < rows.preparedSize()) {
      work.prepared = new float[rows.preparedSize()];
    }
    rows.prepare(x.floats, 0, work.prepared);
    pool.run(count, Math.max(1, count / (8 * pool.threads())), upLoop);
    return gateBytes + count * rows.rowBytes() + biasBytes(op.up()) / op.neurons() * count;
  }

  /** Lists the neurons whose values are not below their limits. */
  private void select(float[] limits) {
    down = weights.down(op);
    list = work.list;
    kept = work.kept;
    int[] to = list;
    float[] values = work.values;
    int n = 0;
    for (int i = 0; i < limits.length; i++) {
      to[n] = i;
      // A value that is no number counts, so that nobody hides it.
      n += Math.abs(values[i]) < limits[i] ? 0 : 1;
    }
    count = n;
  }

  /** Activations of the gate. */
  private void gate(int from, int to, int thread) {
    float[] values = work.values;
    float[] buffer = buffers[thread];
    int first = from * TILE;
    int size = Math.min(to * TILE, op.neurons()) - first;
    gate.multiply(x, from, to, values, 0, op.neurons());
    if (gateBias != null) {
      MatMulStage.addBias(gateBias, 1, from, to, values, 0, op.neurons());
    }
    Arrays.fill(buffer, 0, size, 1);
    GateStage.activate(op.activation(), values, first, buffer, 0, size, buffer, size);
  }

  /** Hidden values of listed neurons. */
  private void up(int from, int to, int thread) {
    UpRows rows = Objects.requireNonNull(up);
    Scratch scratch = Scratch.get();
    for (int j = from; j < to; j++) {
      int neuron = list[j];
      float value = rows.dot(neuron, work.prepared, scratch);
      kept[j] = work.values[neuron] * (upBias == null ? value : value + upBias[neuron]);
    }
  }

  private void down(int from, int to, int thread) {
    Objects.requireNonNull(down).multiply(list, kept, count, from, to, out, outOffset);
  }
}
