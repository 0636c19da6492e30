package dev.jacquard.kernels.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** Buffers of one computing thread, small enough for its first caches. */
final class Scratch {
  private static final ThreadLocal<Scratch> OF_THREAD = ThreadLocal.withInitial(Scratch::new);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Expanded weights: {@code panel[k·TILE + row]}. */
  final float[] panel = new float[FloatMatrix.CHUNK * PackedMatrix.TILE];

  /** Running sums: {@code sums[activation row·TILE + row]}. */
  final float[] sums = new float[RegisterTile.MAX_PANELS * Activations.PANEL * PackedMatrix.TILE];

  /** Scales of a chunk: {@code scales[group·TILE + row]}, groups of 16 columns or more. */
  final float[] scales = new float[FloatMatrix.CHUNK / 16 * PackedMatrix.TILE];

  /** Minimums of a chunk, groups of 32 columns. */
  final float[] minimums = new float[FloatMatrix.CHUNK / 32 * PackedMatrix.TILE];

  private final short[] halves = new short[FloatMatrix.CHUNK / 32 * PackedMatrix.TILE];

  private Scratch() {}

  /** The buffers of the calling thread. */
  static Scratch get() {
    return OF_THREAD.get();
  }

  /**
   * Converts {@code count} halves and multiplies them by {@code factor}. A plain loop over arrays:
   * the compiler turns it into conversion instructions, which the Vector API does not offer.
   */
  void halvesToFloats(MemorySegment source, long offset, int count, float factor, float[] target) {
    MemorySegment.copy(source, SHORT, offset, halves, 0, count);
    for (int i = 0; i < count; i++) {
      target[i] = Float.float16ToFloat(halves[i]) * factor;
    }
  }
}
