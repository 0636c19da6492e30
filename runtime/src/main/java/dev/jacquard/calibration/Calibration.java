package dev.jacquard.calibration;

import dev.jacquard.kernels.KvStorage;
import java.util.List;

/**
 * What a calibration found.
 *
 * @param layers those that can be sketched, in the order of the program
 * @param reports how good the sketches are, layer by layer; empty if that was not measured
 * @param tokens of the text that the bases were made from
 * @param source what text that was, in a few words
 */
public record Calibration(
    List<LayerBases> layers, List<LayerReport> reports, int tokens, String source) {
  /**
   * How good the sketches of a layer are, and how much depends on them.
   *
   * @param layer which
   * @param channels with bits, of each key/value head
   * @param share of the variance of the scores that these channels carry, mean of the heads
   * @param error root mean square of estimated less exact scores on held-out text, in nats; NaN if
   *     no text was left for it
   * @param tolerance factor on the weight from which on BUDGETED reads a token of this layer
   */
  public record LayerReport(
      int layer, List<Integer> channels, double share, double error, double tolerance) {
    /** Copies. */
    public LayerReport {
      channels = List.copyOf(channels);
    }
  }

  /** Copies. */
  public Calibration {
    layers = List.copyOf(layers);
    reports = List.copyOf(reports);
  }

  /** Has a cache sketch all keys of these layers, those that it holds already included. */
  public void applyTo(KvStorage storage) {
    layers.forEach(layer -> storage.sketch(layer.layer(), layer.bases()));
  }
}
