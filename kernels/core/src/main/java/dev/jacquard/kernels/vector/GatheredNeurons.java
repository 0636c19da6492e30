package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Rows of W_gate and W_up of the neurons of one set, packed side by side for the dense kernels, and
 * their columns of W_down. A layer is gathered when it is first asked for.
 */
final class GatheredNeurons implements AutoCloseable {
  /** One layer: its neurons, ascending, their rows and their biases. */
  static final class Layer {
    final int[] neurons;
    final PackedMatrix gate;
    final float @Nullable [] gateBias;
    final PackedMatrix up;
    final float @Nullable [] upBias;
    final DownColumns down;

    private Layer(
        int[] neurons,
        PackedMatrix gate,
        float @Nullable [] gateBias,
        PackedMatrix up,
        float @Nullable [] upBias,
        DownColumns down) {
      this.neurons = neurons;
      this.gate = gate;
      this.gateBias = gateBias;
      this.up = up;
      this.upBias = upBias;
      this.down = down;
    }
  }

  private final NeuronSet set;
  private final Arena arena = Arena.ofShared();
  private final Map<Integer, Layer> layers = new HashMap<>();
  private long bytes;
  private long lastUse;

  GatheredNeurons(NeuronSet set) {
    this.set = set;
  }

  NeuronSet set() {
    return set;
  }

  /** Notes the step that uses it. */
  void use(long step) {
    lastUse = step;
  }

  /** The last step that used it. */
  long lastUse() {
    return lastUse;
  }

  /** Bytes outside the heap. */
  long bytes() {
    return bytes;
  }

  /**
   * A layer of it.
   *
   * @param down all columns of W_down
   */
  Layer layer(Op.FeedForward op, WorkerPool pool, DownColumns down) {
    Layer layer = layers.get(op.layer());
    if (layer == null) {
      int[] neurons = set.neurons(op.layer());
      DownColumns columns = down.gathered(neurons, arena);
      bytes += columns.equals(down) ? 0 : columns.bytes();
      layer =
          new Layer(
              neurons,
              matrix(op.gate().weight().tensor(), neurons, pool),
              bias(op.gate(), neurons),
              matrix(op.up().weight().tensor(), neurons, pool),
              bias(op.up(), neurons),
              columns);
      layers.put(op.layer(), layer);
    }
    return layer;
  }

  private PackedMatrix matrix(Tensor stored, int[] neurons, WorkerPool pool) {
    PackedLayout layout = PackedMatrices.layoutFor(stored.format());
    int tiles = PackedMatrix.tiles(neurons.length);
    long tileBytes = layout.tileBytes(stored.columns());
    MemorySegment packed = arena.allocate(tiles * tileBytes, 64);
    bytes += packed.byteSize();
    try (Arena temporary = Arena.ofShared()) {
      long rowBytes = stored.rowBytes();
      MemorySegment rows = temporary.allocate(neurons.length * rowBytes, 64);
      Shape shape = Shape.of(stored.columns(), neurons.length);
      Tensor chosen = new Tensor(stored.format(), shape, rows);
      pool.run(
          tiles,
          1,
          (from, to, thread) -> {
            int last = Math.min(to * PackedMatrix.TILE, neurons.length);
            for (int i = from * PackedMatrix.TILE; i < last; i++) {
              MemorySegment.copy(
                  stored.data(), neurons[i] * rowBytes, rows, i * rowBytes, rowBytes);
            }
            for (int tile = from; tile < to; tile++) {
              layout.packTile(chosen, tile, packed, tile * tileBytes);
            }
          });
    }
    return layout.view(neurons.length, stored.columns(), packed);
  }

  private static float @Nullable [] bias(Op.Linear linear, int[] neurons) {
    if (linear.bias() == null) {
      return null;
    }
    float[] all = Plan.vector(linear.bias());
    float[] chosen = new float[neurons.length];
    for (int i = 0; i < neurons.length; i++) {
      chosen[i] = all[neurons[i]];
    }
    return chosen;
  }

  @Override
  public void close() {
    arena.close();
  }
}
