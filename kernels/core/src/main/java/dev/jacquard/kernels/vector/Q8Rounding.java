package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.kernels.QuantizedKv;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Rounds keys and values to {@link QuantizedKv}. Buffers of one thread. */
final class Q8Rounding {
  private static final ThreadLocal<Q8Rounding> OF_THREAD = ThreadLocal.withInitial(Q8Rounding::new);

  // Adding and subtracting 1.5·2²³ rounds to the nearest integer, ties to even.
  private static final float ROUND = 0x1.8p23f;

  private int size;
  private float[] x = {};
  private float[] rounded = {};
  private byte[] codes = {};
  private byte[] planes = {};
  private short[] scales = {};

  private Q8Rounding() {}

  /** The buffers of the calling thread. */
  static Q8Rounding get() {
    return OF_THREAD.get();
  }

  /** Rounds the {@code count} numbers at {@code source[at …]}. */
  void round(float[] source, int at, int count) {
    size = count;
    int groups = QuantizedKv.groups(count);
    int padded = groups * QuantizedKv.GROUP;
    if (x.length < padded) {
      x = new float[padded];
      rounded = new float[padded];
      codes = new byte[padded];
      planes = new byte[padded + 2];
      scales = new short[groups];
    }
    System.arraycopy(source, at, x, 0, count);
    Arrays.fill(x, count, padded, 0);
    for (int g = 0; g < groups; g++) {
      int first = g * QuantizedKv.GROUP;
      short half = QuantizedKv.scale(largest(x, first));
      float scale = Float.float16ToFloat(half);
      scales[g] = half;
      if (scale > 0) {
        codes(x, first, scale, rounded);
        for (int i = first; i < first + QuantizedKv.GROUP; i++) {
          codes[i] = (byte) rounded[i];
        }
      } else {
        Arrays.fill(codes, first, first + QuantizedKv.GROUP, (byte) 0);
        Arrays.fill(rounded, first, first + QuantizedKv.GROUP, 0);
      }
      for (int i = first; i < first + QuantizedKv.GROUP; i++) {
        rounded[i] *= scale;
      }
    }
  }

  /** The largest magnitude of a group, NaN if there is one. */
  private static float largest(float[] x, int first) {
    FloatVector m = FloatVector.fromArray(FLOAT, x, first).abs();
    for (int i = FLOATS; i < QuantizedKv.GROUP; i += FLOATS) {
      m = m.max(FloatVector.fromArray(FLOAT, x, first + i).abs());
    }
    return m.reduceLanes(VectorOperators.MAX);
  }

  /** As {@link QuantizedKv#code}; quotients are far below 2²². */
  private static void codes(float[] x, int first, float scale, float[] codes) {
    for (int i = first; i < first + QuantizedKv.GROUP; i += FLOATS) {
      FloatVector.fromArray(FLOAT, x, i)
          .div(scale)
          .add(ROUND)
          .sub(ROUND)
          .max(-127f)
          .min(127f)
          .intoArray(codes, i);
    }
  }

  /** The last vector, as its codes are read. */
  float[] rounded() {
    return rounded;
  }

  /** Stores the last vector as a key. */
  void storeKey(MemorySegment memory, long codesAt, long scalesAt) {
    MemorySegment.copy(codes, 0, memory, ValueLayout.JAVA_BYTE, codesAt, size);
    storeScales(memory, scalesAt);
  }

  /** Stores the last vector as a value: two planes of nibbles, scales, residual. */
  void storeValue(MemorySegment memory, long planesAt, long scalesAt, long residualAt) {
    int half = Q8KvStorage.plane(size);
    for (int j = 0; j < half; j++) {
      int low = codes[j] + 128;
      int high = j + half < size ? codes[j + half] + 128 : 0;
      planes[j] = (byte) ((low >> 4) | (high & 0xf0));
      planes[j + half] = (byte) ((low & 15) | (high << 4));
    }
    MemorySegment.copy(planes, 0, memory, ValueLayout.JAVA_BYTE, planesAt, 2 * half);
    storeScales(memory, scalesAt);
    memory.set(Q8KvStorage.HALF, residualAt, QuantizedKv.roundUp(Math.sqrt(residual())));
  }

  private void storeScales(MemorySegment memory, long at) {
    MemorySegment.copy(scales, 0, memory, Q8KvStorage.HALF, at, QuantizedKv.groups(size));
  }

  /** Square of the residual: the sum within a group is one of whole numbers. */
  private double residual() {
    double sum = 0;
    for (int first = 0; first < size; first += QuantizedKv.GROUP) {
      int squares = 0;
      for (int i = first; i < Math.min(first + QuantizedKv.GROUP, size); i++) {
        int lost = ((codes[i] + 128) & 15) - 8;
        squares += lost * lost;
      }
      double scale = Float.float16ToFloat(scales[first / QuantizedKv.GROUP]);
      sum += scale * scale * squares;
    }
    return sum;
  }
}
