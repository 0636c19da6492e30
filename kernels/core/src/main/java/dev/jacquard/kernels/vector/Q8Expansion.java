package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Turns stored values into floats: plain loops over arrays, which the compiler vectorises. */
final class Q8Expansion {
  private byte[] planes = {};
  private short[] scales = {};

  /**
   * Values {@code first} to {@code first + tokens − 1} of one head of a page, to {@code target[at +
   * i · stride + channel]}.
   */
  void values(
      Q8KvStorage kv,
      int layer,
      int page,
      int head,
      int first,
      int tokens,
      float[] target,
      int at,
      int stride) {
    KvSpec.Layer l = kv.spec().layers().get(layer);
    int size = l.valueSize();
    int half = Q8KvStorage.plane(size);
    int groups = QuantizedKv.groups(size);
    if (planes.length < tokens * 2 * half || scales.length < tokens * groups) {
      planes = new byte[tokens * 2 * half];
      scales = new short[tokens * groups];
    }
    MemorySegment memory = kv.memory(layer, page);
    MemorySegment.copy(
        memory,
        ValueLayout.JAVA_BYTE,
        kv.offset(Part.VALUES, layer, page, head) + (long) first * 2 * half,
        planes,
        0,
        tokens * 2 * half);
    MemorySegment.copy(
        memory,
        Q8KvStorage.HALF,
        kv.offset(Part.VALUE_SCALES, layer, page, head) + (long) first * groups * Short.BYTES,
        scales,
        0,
        tokens * groups);
    for (int t = 0; t < tokens; t++) {
      lowChannels(planes, 2 * t * half, half, target, at + t * stride);
      highChannels(planes, 2 * t * half, half, target, at + t * stride + half, size - half);
      for (int g = 0; g < groups; g++) {
        int channel = g * QuantizedKv.GROUP;
        multiply(
            target,
            at + t * stride + channel,
            Math.min(QuantizedKv.GROUP, size - channel),
            Float.float16ToFloat(scales[t * groups + g]));
      }
    }
  }

  private static void lowChannels(byte[] planes, int from, int half, float[] target, int to) {
    for (int j = 0; j < half; j++) {
      target[to + j] = (((planes[from + j] << 4) & 0xf0) | (planes[from + half + j] & 15)) - 128;
    }
  }

  private static void highChannels(
      byte[] planes, int from, int half, float[] target, int to, int count) {
    for (int j = 0; j < count; j++) {
      target[to + j] = ((planes[from + j] & 0xf0) | ((planes[from + half + j] >> 4) & 15)) - 128;
    }
  }

  private static void multiply(float[] x, int at, int count, float factor) {
    for (int i = at; i < at + count; i++) {
      x[i] *= factor;
    }
  }
}
