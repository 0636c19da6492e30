package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;

/**
 * What the reference's cache in 8 bits holds beside keys and values, for tests of other backends.
 */
public final class ReferenceParts {
  private final QuantizedKvStorage kv;

  /** Parts of an empty storage. */
  public ReferenceParts(KvSpec spec) {
    kv = new QuantizedKvStorage(spec);
  }

  /** The storage. */
  public KvStorage storage() {
    return kv;
  }

  /** See {@link QuantizedKvStorage#residual}. */
  public float residual(int layer, int page, int offset, int head) {
    return kv.residual(layer, page, offset, head);
  }

  /** See {@link QuantizedKvStorage#readCoarseValue}. */
  public void readCoarseValue(int layer, int page, int offset, int head, float[] target) {
    kv.readCoarseValue(layer, page, offset, head, target, 0);
  }

  /** See {@link QuantizedKvStorage#readSketch}. */
  public void readSketch(int layer, int page, int offset, int head, double[] target) {
    kv.readSketch(layer, page, offset, head, target);
  }

  /** See {@link QuantizedKvStorage#readMean}. */
  public void readMean(int layer, int page, int head, float[] target) {
    kv.readMean(layer, page, head, target, 0);
  }

  /** Scale, stretch and spread of the mean of a page. */
  public float[] meanNumbers(int layer, int page, int head) {
    return new float[] {
      kv.meanScale(layer, page, head), kv.stretch(layer, page, head), kv.spread(layer, page, head)
    };
  }
}
