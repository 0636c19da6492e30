package dev.jacquard.kernels;

import java.util.Arrays;

/**
 * The numbers of {@link KvFormat#Q8}, for all backends alike: how keys and values are rounded, and
 * how many bytes each part takes. Backends choose their own order of the parts in memory.
 *
 * <pre>
 *  key        code int8 per channel, scale float16 per 32 channels
 *  value      upper 4 bits | lower 4 bits | scale float16 per 32 channels | residual float16
 *  sketch     1 bit per channel on average (see {@link SketchBasis})            layers without a
 *  page mean  code int8 per channel | scale, stretch, spread float16           window only
 * </pre>
 *
 * <p>Within a group: {@code scale = float16(max|x| / 127)}, {@code code = rint(x / scale)}, −127 to
 * 127 (0 where the scale is 0). A value's code plus 128 is {@code 16·upper + lower}; read in 4 bits
 * it means {@code scale · (16·upper + 8 − 128)}, and the residual is the length of what that
 * changes in the whole vector, rounded up. If a number is not finite, the scale of its group is
 * NaN, so that nothing hides it.
 *
 * <p>The mean of a page is the mean of its tokens' values as read in 8 bits, rounded with one scale
 * for the vector. <em>Stretch</em>: with the differences d of the tokens' values from the rounded
 * mean, {@code ‖Σ w·d‖ ≤ ‖w‖ · stretch} for any weights w; that is, no singular value of them is
 * larger; rounded up. <em>Spread</em>: the largest distance from the exact mean, rounded down,
 * which the diameter of the values cannot be less than.
 */
public final class QuantizedKv {
  /** Channels that share a scale. */
  public static final int GROUP = 32;

  /** How many times a product of differences is squared, see {@link #stretch}. */
  private static final int SQUARINGS = 3;

  /** More than the roundings of sums in double. */
  private static final double ROUNDING = 1 + 1e-9;

  private QuantizedKv() {}

  /** Groups of a vector of {@code size}; the last may be shorter. */
  public static int groups(int size) {
    return (size + GROUP - 1) / GROUP;
  }

  /** Bytes of a key. */
  public static int keyBytes(int size) {
    return size + Short.BYTES * groups(size);
  }

  /** Bytes of a value, read in 8 bits; the residual is not read then. */
  public static int valueBytes(int size) {
    return size + Short.BYTES * groups(size);
  }

  /** Bytes of a value, read in 4 bits, with its residual. */
  public static int coarseValueBytes(int size) {
    return (size + 1) / 2 + Short.BYTES * groups(size) + Short.BYTES;
  }

  /** Most bits of the sketch of a key: 1 per channel on average, whole bytes. */
  public static int sketchBits(int size) {
    return 8 * sketchBytes(size);
  }

  /** Bytes of the sketch of a key. */
  public static int sketchBytes(int size) {
    return (size + 7) / 8;
  }

  /** Bytes of the mean of a page's values, with scale, stretch and spread. */
  public static int meanBytes(int size) {
    return size + 3 * Short.BYTES;
  }

  /** Bytes that one token of a layer takes, without sketches and page means. */
  public static long tokenBytes(KvSpec.Layer layer) {
    return (long) layer.heads()
        * (keyBytes(layer.keySize()) + valueBytes(layer.valueSize()) + Short.BYTES);
  }

  /**
   * Bytes of sketches and page means that one token of a layer takes; 0 for layers with a window.
   */
  public static double summaryBytes(KvSpec.Layer layer) {
    return layer.window() > 0
        ? 0
        : layer.heads()
            * (sketchBytes(layer.keySize())
                + meanBytes(layer.valueSize()) / (double) KvStorage.PAGE_TOKENS);
  }

  /** The scale of a group whose largest magnitude is {@code largest}, as it is stored. */
  public static short scale(float largest) {
    return Float.floatToFloat16(largest <= Float.MAX_VALUE ? largest / 127 : Float.NaN);
  }

  /** The code of {@code x} under a stored scale. */
  public static int code(float x, float scale) {
    return scale > 0 ? (int) Math.clamp(Math.rint(x / scale), -127.0, 127.0) : 0;
  }

  /** The least float16 that is at least {@code x}. */
  public static short roundUp(double x) {
    short half = Float.floatToFloat16((float) x);
    return Float.float16ToFloat(half) < x ? (short) (half + 1) : half;
  }

  /** The largest float16 that is at most {@code x}, which is not negative. */
  public static short roundDown(double x) {
    short half = Float.floatToFloat16((float) x);
    return Float.float16ToFloat(half) > x ? (short) (half - 1) : half;
  }

  /**
   * The stretch of a full page. The largest eigenvalue of the products G is at most the 16th root
   * of the trace of G¹⁶; the stretch is at most 1.09 times the largest singular value.
   *
   * @param products of the differences, {@code [token · 16 + token]}; overwritten
   * @param scratch as many numbers
   */
  public static double stretch(double[] products, double[] scratch) {
    double trace = 0;
    for (int t = 0; t < KvStorage.PAGE_TOKENS; t++) {
      trace += products[t * KvStorage.PAGE_TOKENS + t];
    }
    if (trace == 0) {
      return 0;
    }
    int count = KvStorage.PAGE_TOKENS * KvStorage.PAGE_TOKENS;
    for (int i = 0; i < count; i++) {
      products[i] /= trace;
    }
    double[] from = products;
    double[] to = scratch;
    for (int i = 0; i < SQUARINGS; i++) {
      square(from, to);
      double[] swap = from;
      from = to;
      to = swap;
    }
    double squares = 0;
    for (int i = 0; i < count; i++) {
      squares += from[i] * from[i];
    }
    return Math.sqrt(trace * Math.pow(squares, 1.0 / (2 << SQUARINGS))) * ROUNDING;
  }

  /** The stretch of a page that is not full: what the distances from the mean allow. */
  public static double stretch(double[] distances, int tokens) {
    double squares = 0;
    for (int t = 0; t < tokens; t++) {
      squares += distances[t] * distances[t];
    }
    return Math.sqrt(squares) * ROUNDING;
  }

  private static void square(double[] from, double[] to) {
    int size = KvStorage.PAGE_TOKENS;
    for (int i = 0; i < size; i++) {
      Arrays.fill(to, i * size, (i + 1) * size, 0);
      for (int k = 0; k < size; k++) {
        double factor = from[i * size + k];
        for (int j = 0; j < size; j++) {
          to[i * size + j] += factor * from[k * size + j];
        }
      }
    }
  }
}
