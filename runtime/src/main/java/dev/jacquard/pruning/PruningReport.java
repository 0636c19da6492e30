package dev.jacquard.pruning;

import java.util.List;

/**
 * What was removed.
 *
 * @param layers in order
 * @param bytesBefore of all tensors
 * @param bytesAfter of all tensors
 * @param feedForwardBefore bytes of the feed-forward layers
 * @param feedForwardAfter bytes of the feed-forward layers
 * @param bias whether W_down got a bias
 */
public record PruningReport(
    List<Layer> layers,
    long bytesBefore,
    long bytesAfter,
    long feedForwardBefore,
    long feedForwardAfter,
    boolean bias) {
  /** Copies. */
  public PruningReport {
    layers = List.copyOf(layers);
  }

  /**
   * One layer.
   *
   * @param before neurons that it had
   * @param after neurons that it keeps
   * @param down number format of the new W_down
   * @param rounding relative error of storing the new W_down in it: root of the mean square of the
   *     differences over that of the weights
   */
  public record Layer(int layer, int before, int after, String down, double rounding) {}
}
