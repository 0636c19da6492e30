package dev.jacquard.benchmarks;

import dev.jacquard.calibration.Calibration;
import dev.jacquard.calibration.LayerBases;
import dev.jacquard.evaluation.attention.Trace;
import dev.jacquard.kernels.SketchBasis;
import java.util.List;

/**
 * The layers of a trace as they were recorded.
 *
 * @param trace repeated to the length
 * @param calibration of the model that it is of
 * @param length tokens of the text
 */
record TraceText(Trace trace, Calibration calibration, int length) implements ReplayedText {
  @Override
  public int queries() {
    return trace.queries();
  }

  @Override
  public void query(int layer, int query, float[] target) {
    trace.query(layer, query, length, target);
  }

  @Override
  public void cached(int layer, int position, float[] keys, float[] values) {
    trace.key(layer, position, length, keys);
    trace.value(layer, position, length, values);
  }

  @Override
  public List<SketchBasis> bases(int layer) {
    int index = trace.layers().get(layer).index();
    return calibration.layers().stream()
        .filter(bases -> bases.layer() == index)
        .findFirst()
        .map(LayerBases::bases)
        .orElseThrow(
            () -> new IllegalArgumentException("the model has no basis of layer " + index));
  }
}
