package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.DOUBLE;
import static dev.jacquard.kernels.vector.Lanes.DOUBLES;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.DoubleVector;

/**
 * Means of the values of a page, with scale, stretch and spread. Sums are in double, in the order
 * of the tokens or channels, which gives the bits of the reference. Buffers of one thread.
 */
final class PageMean {
  private static final ThreadLocal<PageMean> OF_THREAD = ThreadLocal.withInitial(PageMean::new);

  private int stride;

  /** {@code values[token · stride + channel]}. */
  private float[] values = {};

  /** The same numbers as doubles. */
  private double[] wide = {};

  /** {@code byChannel[channel · PAGE_TOKENS + token]}. */
  private double[] byChannel = {};

  private double[] mean = {};
  private double[] rounded = {};
  private byte[] codes = {};
  private final Q8Expansion expansion = new Q8Expansion();
  private final double[] distances = new double[PAGE_TOKENS];
  private final double[] spreads = new double[PAGE_TOKENS];

  /** {@code differences[channel · PAGE_TOKENS + token]} from the rounded mean. */
  private double[] differences = {};

  private final double[] products = new double[PAGE_TOKENS * PAGE_TOKENS];
  private final double[] scratch = new double[PAGE_TOKENS * PAGE_TOKENS];

  private PageMean() {}

  /** The buffers of the calling thread. */
  static PageMean get() {
    return OF_THREAD.get();
  }

  /** The mean of the first {@code tokens} values of one head of a page. */
  void write(Q8KvStorage kv, int layer, int page, int head, int tokens) {
    KvSpec.Layer l = kv.spec().layers().get(layer);
    int size = l.valueSize();
    reserve(size);
    MemorySegment memory = kv.memory(layer, page);
    expansion.values(kv, layer, page, head, 0, tokens, values, 0, stride);
    for (int i = 0; i < tokens * stride; i++) {
      wide[i] = values[i];
    }
    for (int c = 0; c < stride; c += DOUBLES) {
      average(wide, c, stride, tokens, mean);
    }
    long numbers = kv.offset(Part.MEAN_NUMBERS, layer, page, head);
    double largest =
        largest(mean, size, poison(memory, kv, layer, page, head, tokens, l.keySize()));
    short half = QuantizedKv.scale((float) largest);
    memory.set(Q8KvStorage.HALF, numbers, half);
    float scale = Float.float16ToFloat(half);
    if (Float.isNaN(scale)) {
      kv.meanIsNoNumber();
    }
    for (int c = 0; c < size; c++) {
      int code = QuantizedKv.code((float) mean[c], scale);
      codes[c] = (byte) code;
      rounded[c] = scale * code;
    }
    MemorySegment.copy(
        codes, 0, memory, ValueLayout.JAVA_BYTE, kv.offset(Part.MEANS, layer, page, head), size);
    for (int c = 0; c < size; c++) {
      for (int t = 0; t < tokens; t++) {
        byChannel[c * PAGE_TOKENS + t] = wide[t * stride + c];
      }
    }
    for (int t = 0; t < PAGE_TOKENS; t += DOUBLES) {
      distances(byChannel, t, mean, size, spreads);
    }
    memory.set(Q8KvStorage.HALF, numbers + 2, QuantizedKv.roundUp(stretch(tokens, size)));
    memory.set(Q8KvStorage.HALF, numbers + 4, QuantizedKv.roundDown(largest(spreads, tokens, 0)));
  }

  private double stretch(int tokens, int size) {
    if (tokens < PAGE_TOKENS) {
      for (int t = 0; t < PAGE_TOKENS; t += DOUBLES) {
        distances(byChannel, t, rounded, size, distances);
      }
      return QuantizedKv.stretch(distances, tokens);
    }
    for (int t = 0; t < PAGE_TOKENS; t += DOUBLES) {
      subtract(byChannel, t, rounded, size, differences);
    }
    for (int other = 0; other < PAGE_TOKENS; other += 4) {
      for (int t = 0; t < PAGE_TOKENS; t += DOUBLES) {
        multiply(differences, t, other, size, products);
      }
    }
    return QuantizedKv.stretch(products, scratch);
  }

  private void reserve(int size) {
    int needed = (size + DOUBLES - 1) / DOUBLES * DOUBLES;
    if (stride != needed) {
      stride = needed;
      values = new float[PAGE_TOKENS * stride];
      wide = new double[PAGE_TOKENS * stride];
      byChannel = new double[PAGE_TOKENS * stride];
      differences = new double[PAGE_TOKENS * stride];
      mean = new double[stride];
      rounded = new double[stride];
      codes = new byte[stride];
    }
  }

  /** NaN if the scale of one of the keys is not finite, else 0. */
  private static double poison(
      MemorySegment memory, Q8KvStorage kv, int layer, int page, int head, int tokens, int size) {
    long scales = kv.offset(Part.KEY_SCALES, layer, page, head);
    int count = tokens * QuantizedKv.groups(size);
    float zero = 0;
    for (int i = 0; i < count; i++) {
      zero *= Float.float16ToFloat(memory.get(Q8KvStorage.HALF, scales + 2L * i));
    }
    return zero;
  }

  private static double largest(double[] x, int count, double start) {
    double largest = start;
    for (int i = 0; i < count; i++) {
      largest = Math.max(largest, Math.abs(x[i]));
    }
    return largest;
  }

  private static void average(double[] values, int c, int stride, int tokens, double[] mean) {
    DoubleVector sum = DoubleVector.zero(DOUBLE);
    for (int t = 0; t < tokens; t++) {
      sum = sum.add(DoubleVector.fromArray(DOUBLE, values, t * stride + c));
    }
    sum.div(tokens).intoArray(mean, c);
  }

  /** Distances of a vector of tokens from a point. */
  private static void distances(
      double[] byChannel, int token, double[] point, int size, double[] target) {
    DoubleVector squares = DoubleVector.zero(DOUBLE);
    for (int c = 0; c < size; c++) {
      DoubleVector difference =
          DoubleVector.fromArray(DOUBLE, byChannel, c * PAGE_TOKENS + token).sub(point[c]);
      squares = squares.add(difference.mul(difference));
    }
    squares.sqrt().intoArray(target, token);
  }

  /** Differences of a vector of tokens from a point. */
  private static void subtract(
      double[] byChannel, int token, double[] point, int size, double[] target) {
    for (int c = 0; c < size; c++) {
      DoubleVector.fromArray(DOUBLE, byChannel, c * PAGE_TOKENS + token)
          .sub(point[c])
          .intoArray(target, c * PAGE_TOKENS + token);
    }
  }

  /** Products of a vector of tokens with four others, in four chains. */
  private static void multiply(double[] x, int token, int other, int size, double[] target) {
    DoubleVector s0 = DoubleVector.zero(DOUBLE);
    DoubleVector s1 = DoubleVector.zero(DOUBLE);
    DoubleVector s2 = DoubleVector.zero(DOUBLE);
    DoubleVector s3 = DoubleVector.zero(DOUBLE);
    for (int c = 0; c < size; c++) {
      int at = c * PAGE_TOKENS;
      DoubleVector v = DoubleVector.fromArray(DOUBLE, x, at + token);
      s0 = s0.add(v.mul(x[at + other]));
      s1 = s1.add(v.mul(x[at + other + 1]));
      s2 = s2.add(v.mul(x[at + other + 2]));
      s3 = s3.add(v.mul(x[at + other + 3]));
    }
    int to = other * PAGE_TOKENS + token;
    s0.intoArray(target, to);
    s1.intoArray(target, to + PAGE_TOKENS);
    s2.intoArray(target, to + 2 * PAGE_TOKENS);
    s3.intoArray(target, to + 3 * PAGE_TOKENS);
  }
}
