package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.ORDER;
import static dev.jacquard.kernels.vector.Lanes.VECTOR_BYTES;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * 32-bit floats.
 *
 * <pre>
 *  tile:  k = 0                 k = 1
 *         +-----+-----+--+-----+-----+--
 *         | r0  | r1  |… | r31 | r0  |…     4 bytes each
 *         +-----+-----+--+-----+-----+--
 * </pre>
 *
 * The layout of last resort: any format that can be decoded can be stored so.
 */
final class F32Matrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout();

  private static final ValueLayout.OfFloat VALUE =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);
  private static final int COLUMN_BYTES = TILE * Float.BYTES;

  private F32Matrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  @Override
  String kernel() {
    return "f32";
  }

  @Override
  void expand(int tile, int first, int count, Scratch scratch) {
    long at = tile * tileBytes + (long) first * COLUMN_BYTES;
    MemorySegment.copy(data, VALUE, at, scratch.panel, 0, count * TILE);
  }

  @Override
  void multiplyRow(int tile, int first, int count, float[] a, Scratch scratch) {
    long at = tile * tileBytes + (long) first * COLUMN_BYTES;
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      multiplyLanes(data, at + lane * (long) Float.BYTES, count, a, first, scratch.sums, lane);
    }
  }

  private static void multiplyLanes(
      MemorySegment data, long at, int count, float[] a, int first, float[] sums, int lane) {
    FloatVector s0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector s1 = FloatVector.fromArray(FLOAT, sums, lane + FLOATS);
    for (int k = 0; k < count; k++) {
      long w = at + (long) k * COLUMN_BYTES;
      FloatVector x = FloatVector.broadcast(FLOAT, a[first + k]);
      s0 = FloatVector.fromMemorySegment(FLOAT, data, w, ORDER).fma(x, s0);
      s1 = FloatVector.fromMemorySegment(FLOAT, data, w + VECTOR_BYTES, ORDER).fma(x, s1);
    }
    s0.intoArray(sums, lane);
    s1.intoArray(sums, lane + FLOATS);
  }

  private static final class Layout implements PackedLayout {
    @Override
    public String name() {
      return "f32/1";
    }

    @Override
    public long tileBytes(int columns) {
      return (long) columns * COLUMN_BYTES;
    }

    @Override
    public void packTile(Tensor source, int tile, MemorySegment target, long offset) {
      float[] values = new float[source.columns()];
      for (int row = 0; row < Packing.rows(source, tile); row++) {
        source.decodeRow((long) tile * TILE + row, values, 0);
        long at = offset + (long) row * Float.BYTES;
        for (float value : values) {
          target.set(VALUE, at, value);
          at += COLUMN_BYTES;
        }
      }
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new F32Matrix(rows, columns, data);
    }
  }
}
