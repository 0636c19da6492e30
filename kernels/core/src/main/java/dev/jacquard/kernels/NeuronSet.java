package dev.jacquard.kernels;

import java.util.Arrays;
import java.util.List;

/**
 * The neurons of each feed-forward layer that a sequence computes. Compared by identity: a backend
 * keeps what it gathered for a set as long as it likes. Immutable.
 */
public final class NeuronSet {
  private final int[][] neurons;

  /**
   * A set.
   *
   * @param neurons for each layer the neurons that count, ascending, at least one; copied
   */
  public NeuronSet(List<int[]> neurons) {
    this.neurons = neurons.stream().map(int[]::clone).toArray(int[][]::new);
    for (int layer = 0; layer < this.neurons.length; layer++) {
      int[] own = this.neurons[layer];
      if (own.length == 0) {
        throw new IllegalArgumentException("layer " + layer + " keeps no neuron");
      }
      for (int i = 0; i < own.length; i++) {
        if (own[i] < 0 || (i > 0 && own[i] <= own[i - 1])) {
          throw new IllegalArgumentException(
              "layer " + layer + " lists neurons out of order, at " + i + ": " + own[i]);
        }
      }
    }
  }

  /** Number of layers. */
  public int layers() {
    return neurons.length;
  }

  /** How many neurons of a layer count. */
  public int count(int layer) {
    return neurons[layer].length;
  }

  /** The i-th of them. */
  public int neuron(int layer, int i) {
    return neurons[layer][i];
  }

  /** The neurons of a layer, ascending, in an array of the caller's own. */
  public int[] neurons(int layer) {
    return neurons[layer].clone();
  }

  @Override
  public String toString() {
    return "neurons of "
        + layers()
        + " layers, "
        + Arrays.stream(neurons).mapToInt(n -> n.length).sum();
  }
}
