package dev.jacquard.kvstore;

import dev.jacquard.kernels.QuantizedKv;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Vectors rounded as {@link QuantizedKv} says, in bytes: the codes, then the scale of each group as
 * a little-endian float16. Rounding what was read again gives the same codes, since the largest
 * code of a group is 127 (but for scales that are subnormal as float16, where a code may change by
 * one).
 */
final class Q8Vectors {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);

  private Q8Vectors() {}

  /**
   * Rounds {@code x[from … from + size)} to {@code target[at …]}.
   *
   * @return whether all numbers were finite
   */
  static boolean encode(float[] x, int from, int size, byte[] target, int at) {
    boolean finite = true;
    for (int start = 0; start < size; start += QuantizedKv.GROUP) {
      int end = Math.min(size, start + QuantizedKv.GROUP);
      float largest = 0;
      for (int i = start; i < end; i++) {
        largest = Math.max(largest, Math.abs(x[from + i]));
      }
      short half = QuantizedKv.scale(largest);
      float scale = Float.float16ToFloat(half);
      finite &= Float.isFinite(scale);
      for (int i = start; i < end; i++) {
        target[at + i] = (byte) QuantizedKv.code(x[from + i], scale);
      }
      SHORT.set(target, at + size + Short.BYTES * (start / QuantizedKv.GROUP), half);
    }
    return finite;
  }

  /** Expands the vector at {@code source[at …]} to {@code x[to … to + size)}. */
  static void decode(byte[] source, int at, int size, float[] x, int to) {
    for (int start = 0; start < size; start += QuantizedKv.GROUP) {
      int end = Math.min(size, start + QuantizedKv.GROUP);
      int scaleAt = at + size + Short.BYTES * (start / QuantizedKv.GROUP);
      float scale = Float.float16ToFloat((short) SHORT.get(source, scaleAt));
      for (int i = start; i < end; i++) {
        x[to + i] = source[at + i] * scale;
      }
    }
  }
}
