package dev.jacquard.neurons;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * For each feed-forward layer the norms of the columns of W_down: what a hidden value of 1 adds to
 * the layer's output at most. Reads the weights once, about a second for a thousand million of
 * them. Immutable.
 */
public final class ColumnNorms {
  private final List<float[]> layers;

  private ColumnNorms(List<float[]> layers) {
    this.layers = List.copyOf(layers);
  }

  /** The norms of a program's layers, in the order of its ops. */
  public static ColumnNorms of(Program program) {
    List<float[]> layers = new ArrayList<>();
    for (Op op : program.ops()) {
      if (op instanceof Op.FeedForward f) {
        layers.add(norms(f.down().weight().tensor()));
      }
    }
    return new ColumnNorms(layers);
  }

  private static float[] norms(Tensor down) {
    float[] row = new float[down.columns()];
    float[] norms = new float[down.columns()];
    for (int r = 0; r < down.rows(); r++) {
      down.decodeRow(r, row, 0);
      for (int i = 0; i < row.length; i++) {
        norms[i] += row[i] * row[i];
      }
    }
    for (int i = 0; i < norms.length; i++) {
      norms[i] = (float) Math.sqrt(norms[i]);
    }
    return norms;
  }

  /** Number of layers. */
  int layers() {
    return layers.size();
  }

  /** The norms of a layer; not to be changed. */
  float[] of(int layer) {
    return layers.get(layer);
  }
}
