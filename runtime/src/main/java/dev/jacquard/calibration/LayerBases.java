package dev.jacquard.calibration;

import dev.jacquard.kernels.SketchBasis;
import java.util.List;

/**
 * The bases of a layer.
 *
 * @param layer which
 * @param bases one for each key/value head
 */
public record LayerBases(int layer, List<SketchBasis> bases) {
  /** Copies. */
  public LayerBases {
    bases = List.copyOf(bases);
  }
}
