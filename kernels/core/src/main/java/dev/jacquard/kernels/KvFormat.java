package dev.jacquard.kernels;

/** How cached keys and values are rounded. */
public enum KvFormat {
  /** IEEE half precision: 2 bytes a value. */
  F16,
  /** IEEE single precision: 4 bytes a value. */
  F32,
  /**
   * Keys and values in 8 bits, values readable in their upper 4 alone, with sketches and page means
   * of layers without a window: see {@link QuantizedKv}.
   */
  Q8;

  /** Bytes that one token of a layer takes, all heads, sketches and page means included. */
  public double tokenBytes(KvSpec.Layer layer) {
    long values = (long) layer.heads() * (layer.keySize() + layer.valueSize());
    return switch (this) {
      case F16 -> values * Short.BYTES;
      case F32 -> values * Float.BYTES;
      case Q8 -> QuantizedKv.tokenBytes(layer) + QuantizedKv.summaryBytes(layer);
    };
  }

  /** Bytes that reading one token of a layer whole takes, all heads. */
  public long readBytes(KvSpec.Layer layer) {
    return switch (this) {
      case F16, F32 -> (long) tokenBytes(layer);
      case Q8 ->
          (long) layer.heads()
              * (QuantizedKv.keyBytes(layer.keySize()) + QuantizedKv.valueBytes(layer.valueSize()));
    };
  }
}
