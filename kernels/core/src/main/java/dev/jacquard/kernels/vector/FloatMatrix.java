package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * A matrix whose weights become floats and meet activations that were never rounded: {@code acc =
 * fma(weight, activation, acc)} in the order of the columns, from 0.
 *
 * <p>Matrix-matrix: columns are taken in chunks; a chunk of a tile is expanded once into a float
 * panel that stays in cache, then all activation rows pass over it.
 */
abstract class FloatMatrix extends PackedMatrix {
  /** Columns of an expanded panel: 512 × 32 floats are 64 KiB. A multiple of every block. */
  static final int CHUNK = 512;

  private static final ThreadLocal<float[]> PANEL =
      ThreadLocal.withInitial(() -> new float[CHUNK * TILE]);
  private static final ThreadLocal<float[]> EDGE =
      ThreadLocal.withInitial(() -> new float[Activations.PANEL * TILE]);

  FloatMatrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  @Override
  final ActivationFamily family() {
    return ActivationFamily.FLOAT;
  }

  /**
   * Expands {@code count} columns from {@code firstColumn} (a multiple of {@link #CHUNK}) of a tile
   * to {@code panel[k·TILE + row]}.
   */
  abstract void expand(int tile, int firstColumn, int count, float[] panel);

  @Override
  final void multiply(
      Activations x, int firstTile, int lastTile, float[] out, int outOffset, int outStride) {
    float[] panel = PANEL.get();
    float[] edge = EDGE.get();
    int columns = columns();
    int width = x.width();
    for (int first = 0; first < columns; first += CHUNK) {
      int count = Math.min(CHUNK, columns - first);
      for (int tile = firstTile; tile < lastTile; tile++) {
        expand(tile, first, count, panel);
        int outputs = Math.min(TILE, rows() - tile * TILE);
        for (int row = 0; row < x.rows(); row++) {
          int p = row / width;
          int a = p * width * columns + first * width + row % width;
          int to = outOffset + row * outStride + tile * TILE;
          System.arraycopy(out, to, edge, 0, outputs);
          for (int lane = 0; lane < TILE; lane += FLOATS) {
            FloatVector sum =
                first == 0 ? FloatVector.zero(FLOAT) : FloatVector.fromArray(FLOAT, edge, lane);
            for (int k = 0; k < count; k++) {
              sum =
                  FloatVector.fromArray(FLOAT, panel, k * TILE + lane)
                      .fma(FloatVector.broadcast(FLOAT, x.floats[a + k * width]), sum);
            }
            sum.intoArray(edge, lane);
          }
          System.arraycopy(edge, 0, out, to, outputs);
        }
      }
    }
  }
}
