package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * 32-bit floats. Also the layout of last resort: any format that can be decoded can be stored so.
 *
 * <pre>
 *  tile:  k = 0                 k = 1
 *         +-----+-----+--+-----+-----+--
 *         | r0  | r1  |… | r31 | r0  |…     4 bytes each
 *         +-----+-----+--+-----+-----+--
 * </pre>
 */
final class F32Matrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout("f32");

  private static final ValueLayout.OfFloat VALUE =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(Lanes.ORDER);
  private static final int COLUMN_BYTES = TILE * Float.BYTES;

  private F32Matrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  /** The layout for a format that has no kernel of its own. */
  static PackedLayout decoding(ElementFormat format) {
    return new Layout("f32, decoded from " + format.name());
  }

  @Override
  void expand(int tile, int first, int count, Scratch scratch) {
    long at = tile * tileBytes + (long) first * COLUMN_BYTES;
    MemorySegment.copy(data, VALUE, at, scratch.panel, 0, count * TILE);
  }

  private record Layout(String kernel) implements PackedLayout {
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
          Packing.putFloat(target, at, value);
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
