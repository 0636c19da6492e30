package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.PackedMatrix.TILE;

import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Products of single rows of a matrix, wherever they are: 32 of them are copied side by side from
 * the stored matrix, packed as a tile of their own and multiplied by the kernel of the format, so
 * that the bits are those of the whole product.
 */
final class GatheredRows {
  private final Tensor source;
  private final PackedLayout layout;
  private final Tensor[] stored;
  private final MemorySegment[] tiles;
  private final PackedMatrix[] packed;

  /**
   * Buffers for {@code threads} threads.
   *
   * @param source the matrix as it is stored
   */
  GatheredRows(Tensor source, int threads) {
    this.source = source;
    layout = PackedMatrices.layoutFor(source.format());
    stored = new Tensor[threads];
    tiles = new MemorySegment[threads];
    packed = new PackedMatrix[threads];
    int columns = source.columns();
    for (int i = 0; i < threads; i++) {
      MemorySegment rows = Arena.ofAuto().allocate(TILE * source.rowBytes(), 64);
      stored[i] = new Tensor(source.format(), Shape.of(columns, TILE), rows);
      tiles[i] = Arena.ofAuto().allocate(layout.tileBytes(columns), 64);
      packed[i] = layout.view(TILE, columns, tiles[i]);
    }
  }

  /** Bytes of one row. */
  long rowBytes() {
    return source.rowBytes();
  }

  /**
   * Writes the products of rows {@code ids[from … from + count)} with the only row of {@code x} to
   * {@code out[from … from + 32)}.
   *
   * @param count at most 32
   * @param thread which buffers to use
   */
  void multiply(Activations x, int[] ids, int from, int count, float[] out, int thread) {
    long bytes = source.rowBytes();
    MemorySegment rows = stored[thread].data();
    for (int i = 0; i < count; i++) {
      MemorySegment.copy(source.data(), ids[from + i] * bytes, rows, i * bytes, bytes);
    }
    layout.packTile(stored[thread], 0, tiles[thread], 0);
    packed[thread].multiply(x, 0, 1, out, from, TILE);
  }
}
