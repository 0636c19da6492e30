package dev.jacquard.kernels;

import java.util.List;

/**
 * For each feed-forward layer the magnitude from which on each neuron counts: it counts if {@code
 * magnitude ≥ limit}. 0 leaves nothing out, infinity always leaves the neuron out. Immutable.
 */
public final class NeuronLimits {
  private final float[][] limits;

  /**
   * Limits.
   *
   * @param limits for each layer one for each neuron, none NaN or negative; copied
   */
  public NeuronLimits(List<float[]> limits) {
    this.limits = limits.stream().map(float[]::clone).toArray(float[][]::new);
    for (int layer = 0; layer < this.limits.length; layer++) {
      for (float limit : this.limits[layer]) {
        if (!(limit >= 0)) {
          throw new IllegalArgumentException("layer " + layer + " has a limit of " + limit);
        }
      }
    }
  }

  /** Number of layers. */
  public int layers() {
    return limits.length;
  }

  /** Number of neurons of a layer. */
  public int neurons(int layer) {
    return limits[layer].length;
  }

  /** The limits of a layer; shared, not to be changed. */
  public float[] of(int layer) {
    return limits[layer];
  }
}
