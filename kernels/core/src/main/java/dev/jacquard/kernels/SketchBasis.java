package dev.jacquard.kernels;

/**
 * The balanced basis of one key/value head, and how finely a token's sketch rounds each of its
 * channels. Channel c of a key is {@code k′[c] = toKey[c] · (k − mean)}, of a query {@code q′[c] =
 * toQuery[c] · q}, so that {@code q · k = q · mean + Σ q′[c]·k′[c]} over all channels; those that
 * get no bits are not listed.
 *
 * <p>A sketch stores {@code code = clamp(⌊k′[c] / step[c]⌋ + 2^(bits[c]−1), 0, 2^bits[c] − 1)} and
 * means {@code (code − 2^(bits[c]−1) + 0.5) · step[c]}. Codes are written lowest bit first, channel
 * after channel, bit n of the sketch in bit n mod 8 of byte n / 8. So a score is a sum over bits,
 * and may be looked up four bits at a time.
 *
 * <p>The arrays belong to the basis and are not changed.
 *
 * @param mean [size] of the keys
 * @param toKey [channels × size], row after row
 * @param toQuery [channels × size]
 * @param bits [channels] 1 to 7; together at most {@link QuantizedKv#sketchBits}
 * @param step [channels] width of a rounding interval
 * @param tolerance factor on the weight from which on {@link Exactness.Budgeted} reads a token or
 *     the mean of a page; finite and above 0. A layer on whose attention the logits depend less has
 *     a larger one; 1 where nothing is known of that
 */
@SuppressWarnings("ArrayRecordComponent") // shared on purpose; bases are never compared
public record SketchBasis(
    float[] mean, float[] toKey, float[] toQuery, byte[] bits, float[] step, float tolerance) {
  /** Checks shapes, bits and the tolerance. */
  public SketchBasis {
    if (!(tolerance > 0 && tolerance <= Float.MAX_VALUE)) {
      throw new IllegalArgumentException("a tolerance is finite and above 0, not " + tolerance);
    }
    int size = mean.length;
    int sum = 0;
    for (byte b : bits) {
      if (b < 1 || b > 7) {
        throw new IllegalArgumentException("a channel of a sketch has 1 to 7 bits, not " + b);
      }
      sum += b;
    }
    if (step.length != bits.length
        || toKey.length != bits.length * size
        || toQuery.length != toKey.length
        || sum > QuantizedKv.sketchBits(size)) {
      throw new IllegalArgumentException(
          "a sketch of %d bits in %d channels (steps %d, matrices %d and %d) of keys of %d"
              .formatted(sum, bits.length, step.length, toKey.length, toQuery.length, size));
    }
  }

  /** The same sketches, read with another tolerance. */
  public SketchBasis withTolerance(float other) {
    return new SketchBasis(mean, toKey, toQuery, bits, step, other);
  }

  /** Values of a key. */
  public int size() {
    return mean.length;
  }

  /** Channels that have bits. */
  public int channels() {
    return bits.length;
  }
}
