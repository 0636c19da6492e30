package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Buffers of one computing thread, small enough for its first caches. */
final class Scratch {
  private static final ThreadLocal<Scratch> OF_THREAD = ThreadLocal.withInitial(Scratch::new);

  /** As many shorts as a vector has floats. */
  private static final VectorSpecies<Short> HALVES =
      VectorSpecies.of(short.class, VectorShape.forBitSize(Lanes.bits() / 2));

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);

  /** Expanded weights: {@code panel[k·TILE + row]}. */
  final float[] panel = new float[FloatMatrix.CHUNK * PackedMatrix.TILE];

  /** Running sums: {@code sums[activation row·TILE + row]}. */
  final float[] sums = new float[RegisterTile.MAX_PANELS * Activations.PANEL * PackedMatrix.TILE];

  /** Scales of a chunk: {@code scales[group·TILE + row]}, groups of 16 columns or more. */
  final float[] scales = new float[FloatMatrix.CHUNK / 16 * PackedMatrix.TILE];

  /** Minimums of a chunk, groups of 32 columns. */
  final float[] minimums = new float[FloatMatrix.CHUNK / 32 * PackedMatrix.TILE];

  /** Scales of whole blocks of 256 columns. */
  final float[] blockScales = new float[FloatMatrix.CHUNK / 256 * PackedMatrix.TILE];

  private final short[] halves = new short[FloatMatrix.CHUNK * PackedMatrix.TILE];

  private float[] rows = new float[0];

  private Scratch() {}

  /** The buffers of the calling thread. */
  static Scratch get() {
    return OF_THREAD.get();
  }

  /** At least {@code count} floats for whole rows of weights. */
  float[] rows(int count) {
    if (rows.length < count) {
      rows = new float[count];
    }
    return rows;
  }

  /**
   * Converts {@code count} halves and multiplies them by {@code factor}. A plain loop over arrays:
   * the compiler turns it into conversion instructions, which the Vector API does not offer.
   */
  void halvesToFloats(MemorySegment source, long offset, int count, float factor, float[] target) {
    halvesToFloats(source, offset, count, factor, target, 0);
  }

  /** The same, to {@code target[to …]}. */
  void halvesToFloats(
      MemorySegment source, long offset, int count, float factor, float[] target, int to) {
    MemorySegment.copy(source, SHORT, offset, halves, 0, count);
    for (int i = 0; i < count; i++) {
      target[to + i] = Float.float16ToFloat(halves[i]) * factor;
    }
  }

  /** Copies halves that {@link #copiedHalvesToFloats} converts, to place {@code at}. */
  void copyHalves(MemorySegment source, long offset, int count, int at) {
    MemorySegment.copy(source, SHORT, offset, halves, at, count);
  }

  /** Converts the first halves that were copied. */
  void copiedHalvesToFloats(int count, float[] target) {
    for (int i = 0; i < count; i++) {
      target[i] = Float.float16ToFloat(halves[i]);
    }
  }

  /**
   * Converts bfloat16 numbers, the upper halves of floats.
   *
   * @param count a multiple of {@link PackedMatrix#TILE}
   */
  static void bfloatsToFloats(MemorySegment source, long offset, int count, float[] target) {
    bfloatsToFloats(source, offset, count, target, 0);
  }

  /** The same, to {@code target[to …]}. */
  static void bfloatsToFloats(
      MemorySegment source, long offset, int count, float[] target, int to) {
    for (int i = 0; i < count; i += FLOATS) {
      ShortVector halves = ShortVector.fromMemorySegment(HALVES, source, offset + i * 2L, ORDER);
      ((IntVector) halves.castShape(INT, 0))
          .lanewise(VectorOperators.LSHL, 16)
          .reinterpretAsFloats()
          .intoArray(target, to + i);
    }
  }

  /**
   * Scales of groups: products of a float per block and row with signed bytes, of which each word
   * holds those of four groups of a row: {@code target[(4·word + i)·TILE + row] = d[block·TILE +
   * row] · byte i of the word}.
   *
   * @param words words of a block and row; its groups are four times as many
   */
  static void multiplyBytes(
      MemorySegment source, long offset, int blocks, int words, float[] d, float[] target) {
    for (int word = 0; word < blocks * words; word++) {
      for (int lane = 0; lane < PackedMatrix.TILE; lane += FLOATS) {
        long at = offset + (word * PackedMatrix.TILE + lane) * 4L;
        int to = word * 4 * PackedMatrix.TILE + lane;
        FloatVector factor =
            FloatVector.fromArray(FLOAT, d, word / words * PackedMatrix.TILE + lane);
        IntVector bytes = IntVector.fromMemorySegment(INT, source, at, ORDER);
        for (int i = 0; i < 4; i++) {
          IntVector one =
              bytes.lanewise(VectorOperators.LSHL, 24 - 8 * i).lanewise(VectorOperators.ASHR, 24);
          ((FloatVector) one.castShape(FLOAT, 0))
              .mul(factor)
              .intoArray(target, to + i * PackedMatrix.TILE);
        }
      }
    }
  }
}
