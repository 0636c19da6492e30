package dev.jacquard.kernels.vector;

import java.lang.foreign.MemorySegment;

/**
 * A weight matrix in the layout of this backend: groups of {@link #TILE} output rows, interleaved,
 * so that vector lanes are output rows and the inputs run in time.
 *
 * <p>Every output is one chain of sums in the order of the columns. Its bits depend on its row of
 * activations and its row of weights only: not on how many rows or tiles a call computes, nor on
 * the thread or the vector width. Immutable; any thread may use it while its memory lives.
 */
abstract class PackedMatrix {
  /** Output rows that are packed together. */
  static final int TILE = 32;

  private final int rows;
  private final int columns;

  /** The packed tiles, one after the other. */
  final MemorySegment data;

  /** Bytes of one tile. */
  final long tileBytes;

  /**
   * A view of packed tiles.
   *
   * @param rows outputs
   * @param columns inputs
   * @param data the tiles and nothing else
   */
  PackedMatrix(int rows, int columns, MemorySegment data) {
    this.rows = rows;
    this.columns = columns;
    this.data = data;
    this.tileBytes = data.byteSize() / tiles();
  }

  /** Outputs. */
  final int rows() {
    return rows;
  }

  /** Inputs. */
  final int columns() {
    return columns;
  }

  /** Independent groups of output rows: the unit that work is divided by. */
  final int tiles() {
    return tiles(rows);
  }

  static int tiles(int rows) {
    return (rows + TILE - 1) / TILE;
  }

  /** Bytes stored. */
  final long bytes() {
    return data.byteSize();
  }

  /** Bytes read for one row of activations. */
  long bytesRead() {
    return bytes();
  }

  /**
   * Multiplies all rows of {@code x} with tiles {@code firstTile} to {@code lastTile} − 1: {@code
   * out[outOffset + r·outStride + i] = Σ_k x[r][k]·W[i][k]} for the outputs i of these tiles. Calls
   * for disjoint tiles may run at the same time.
   *
   * @param x prepared rows, {@link #columns()} wide
   */
  abstract void multiply(
      Activations x, int firstTile, int lastTile, float[] out, int outOffset, int outStride);
}
