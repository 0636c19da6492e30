package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * The upper halves of 32-bit floats.
 *
 * <pre>
 *  tile:  k = 0                 k = 1
 *         +-----+-----+--+-----+-----+--
 *         | r0  | r1  |… | r31 | r0  |…     2 bytes each
 *         +-----+-----+--+-----+-----+--
 * </pre>
 */
final class BF16Matrix extends FloatMatrix {
  static final PackedLayout LAYOUT = new Layout();

  private static final int COLUMN_BYTES = TILE * Short.BYTES;

  private BF16Matrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  @Override
  void expand(int tile, int first, int count, Scratch scratch) {
    long at = tile * tileBytes + (long) first * COLUMN_BYTES;
    Scratch.bfloatsToFloats(data, at, count * TILE, scratch.panel);
  }

  private static final class Layout implements PackedLayout {
    @Override
    public String name() {
      return "bf16/1";
    }

    @Override
    public String kernel() {
      return "bf16";
    }

    @Override
    public long tileBytes(int columns) {
      return (long) columns * COLUMN_BYTES;
    }

    @Override
    public void packTile(Tensor source, int tile, MemorySegment target, long offset) {
      for (int row = 0; row < Packing.rows(source, tile); row++) {
        long from = (tile * (long) TILE + row) * source.rowBytes();
        long to = offset + (long) row * Short.BYTES;
        for (int k = 0; k < source.columns(); k++) {
          Packing.copyHalf(source.data(), from + (long) k * Short.BYTES, target, to);
          to += COLUMN_BYTES;
        }
      }
    }

    @Override
    public PackedMatrix view(int rows, int columns, MemorySegment data) {
      return new BF16Matrix(rows, columns, data);
    }
  }
}
