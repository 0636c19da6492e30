package dev.jacquard.kernels;

import java.util.List;

/**
 * For each feed-forward layer the magnitude below which each neuron is left out: {@code magnitude <
 * limit}. 0 leaves nothing out, infinity leaves out every finite value. A value that is no number
 * always counts, so that it is not hidden. Immutable.
 */
public final class NeuronLimits {
  private final float[][] limits;
  private final boolean[] leavesOut;

  /**
   * Limits.
   *
   * @param limits for each layer one for each neuron, none NaN or negative; copied
   */
  public NeuronLimits(List<float[]> limits) {
    this.limits = limits.stream().map(float[]::clone).toArray(float[][]::new);
    leavesOut = new boolean[this.limits.length];
    for (int layer = 0; layer < this.limits.length; layer++) {
      for (float limit : this.limits[layer]) {
        if (!(limit >= 0)) {
          throw new IllegalArgumentException("layer " + layer + " has a limit of " + limit);
        }
        leavesOut[layer] |= limit > 0;
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

  /** Whether any limit of a layer is above 0. */
  public boolean leavesOut(int layer) {
    return leavesOut[layer];
  }

  /** The limits of a layer; shared, not to be changed. */
  public float[] of(int layer) {
    return limits[layer];
  }

  @Override
  public String toString() {
    return "limits of " + layers() + " layers";
  }
}
