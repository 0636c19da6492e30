package dev.jacquard.kernels.vector;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A matrix whose weights become floats and meet activations that were never rounded: {@code sum =
 * fma(weight, activation, sum)} in the order of the columns, from 0.
 *
 * <p>Columns are taken in chunks. A single row of activations is multiplied while the chunk is
 * decoded; for several rows the chunk of a tile is expanded once into a panel of floats that stays
 * in cache, and all rows pass over it.
 */
abstract class FloatMatrix extends PackedMatrix {
  /** Columns of a chunk, a multiple of every format's block: 512 × 32 floats are 64 KiB. */
  static final int CHUNK = 512;

  /** Columns that a single row takes at a time: 8 KiB of floats. */
  private static final int STEP = 64;

  FloatMatrix(int rows, int columns, MemorySegment data) {
    super(rows, columns, data);
  }

  /** Expands {@code count} columns from {@code first} of a tile to {@link Scratch#panel}. */
  abstract void expand(int tile, int first, int count, Scratch scratch);

  /**
   * Adds the products of {@code count} columns from {@code first} with {@code a[first …]} to the
   * first {@link #TILE} values of {@link Scratch#sums}. This one expands a few columns at a time;
   * formats that take longer to decode than to read do both at once.
   */
  void multiplyRow(int tile, int first, int count, float[] a, Scratch scratch) {
    for (int k = 0; k < count; k += STEP) {
      int step = Math.min(STEP, count - k);
      expand(tile, first + k, step, scratch);
      RegisterTile.multiplyRow(scratch.panel, step, a, first + k, scratch.sums);
    }
  }

  @Override
  final void multiply(
      Activations x, int firstTile, int lastTile, float[] out, int outOffset, int outStride) {
    Scratch scratch = Scratch.get();
    if (x.rows() == 1) {
      multiplyRow(x.floats, firstTile, lastTile, out, outOffset, scratch);
      return;
    }
    for (int first = 0; first < columns(); first += CHUNK) {
      int count = Math.min(CHUNK, columns() - first);
      for (int tile = firstTile; tile < lastTile; tile++) {
        expand(tile, first, count, scratch);
        for (int panel = 0; panel < x.panels(); panel += RegisterTile.MAX_PANELS) {
          multiplyPanels(x, panel, tile, first, count, out, outOffset, outStride, scratch);
        }
      }
    }
  }

  private void multiplyRow(
      float[] a, int firstTile, int lastTile, float[] out, int outOffset, Scratch scratch) {
    for (int tile = firstTile; tile < lastTile; tile++) {
      Arrays.fill(scratch.sums, 0, TILE, 0);
      for (int first = 0; first < columns(); first += CHUNK) {
        multiplyRow(tile, first, Math.min(CHUNK, columns() - first), a, scratch);
      }
      System.arraycopy(scratch.sums, 0, out, outOffset + tile * TILE, outputs(tile));
    }
  }

  private void multiplyPanels(
      Activations x,
      int firstPanel,
      int tile,
      int first,
      int count,
      float[] out,
      int outOffset,
      int outStride,
      Scratch scratch) {
    int panels = Math.min(RegisterTile.MAX_PANELS, x.panels() - firstPanel);
    int firstRow = firstPanel * Activations.PANEL;
    int rows = Math.min(panels * Activations.PANEL, x.rows() - firstRow);
    int outputs = outputs(tile);
    int at = outOffset + firstRow * outStride + tile * TILE;
    float[] sums = scratch.sums;
    if (first == 0) {
      Arrays.fill(sums, 0);
    } else {
      for (int row = 0; row < rows; row++) {
        System.arraycopy(out, at + row * outStride, sums, row * TILE, outputs);
      }
    }
    int stride = Activations.PANEL * columns();
    int offset = firstPanel * stride + first * Activations.PANEL;
    RegisterTile.multiply(scratch.panel, count, x.floats, offset, stride, panels, sums);
    for (int row = 0; row < rows; row++) {
      System.arraycopy(sums, row * TILE, out, at + row * outStride, outputs);
    }
  }

  /** Outputs of a tile: fewer than {@link #TILE} at the end of the matrix. */
  private int outputs(int tile) {
    return Math.min(TILE, rows() - tile * TILE);
  }
}
