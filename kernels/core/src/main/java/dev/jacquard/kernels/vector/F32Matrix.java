package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

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

  private static final ValueLayout.OfFloat FLOAT_LE =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private F32Matrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  @Override
  String kernel() {
    return "f32 x float, " + Lanes.bits() + " bit";
  }

  @Override
  void expand(int tile, int firstColumn, int count, float[] panel) {
    MemorySegment.copy(
        data,
        FLOAT_LE,
        tile * tileBytes + (long) firstColumn * TILE * Float.BYTES,
        panel,
        0,
        count * TILE);
  }

  @Override
  void decodeRow(int row, float[] target, int offset) {
    long at = row / TILE * tileBytes + (long) (row % TILE) * Float.BYTES;
    for (int k = 0; k < columns(); k++, at += TILE * Float.BYTES) {
      target[offset + k] = data.get(FLOAT_LE, at);
    }
  }

  private static final class Layout implements PackedLayout {
    @Override
    public String name() {
      return "f32/1";
    }

    @Override
    public long tileBytes(int columns) {
      return (long) columns * TILE * Float.BYTES;
    }

    @Override
    public void packTile(Tensor source, int tile, MemorySegment target, long offset) {
      int columns = source.columns();
      float[] values = new float[columns];
      target.asSlice(offset, tileBytes(columns)).fill((byte) 0);
      int rows = Math.min(TILE, source.rows() - tile * TILE);
      for (int r = 0; r < rows; r++) {
        source.decodeRow(tile * (long) TILE + r, values, 0);
        long at = offset + (long) r * Float.BYTES;
        for (int k = 0; k < columns; k++, at += TILE * Float.BYTES) {
          target.set(FLOAT_LE, at, values[k]);
        }
      }
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new F32Matrix(rows, columns, data);
    }
  }
}
