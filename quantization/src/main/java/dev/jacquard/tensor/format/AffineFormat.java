package dev.jacquard.tensor.format;

import dev.jacquard.tensor.format.ScaleSearch.Affine;
import dev.jacquard.tensor.format.ScaleSearch.Grids;
import java.lang.foreign.MemorySegment;

/**
 * What Q4_1 and Q5_1 have in common: 32 numbers under a scale and a minimum, {@code x = d · q + m}.
 * They differ in how the quants {@code q} are stored.
 *
 * <p>Encoding: {@code m} is the least element and {@code d} spreads the quants over the range. With
 * importances both come from {@link ScaleSearch#affine}, so that {@code m} is not positive.
 */
abstract class AffineFormat extends BlockFormat {
  static final int SIZE = 32;

  /** Where the quants begin, after {@code d} and {@code m}. */
  static final int QUANTS = 4;

  private static final int MINIMUM = 2;

  private final int most;

  AffineFormat(String name, int ggmlType, int quantBytes, int most) {
    super(name, ggmlType, SIZE, QUANTS + quantBytes);
    this.most = most;
  }

  /** Quant {@code i} of the block at {@code at}. */
  abstract int getQuant(MemorySegment block, long at, int i);

  /** Stores the quants of the block at {@code at}. */
  abstract void putQuants(byte[] quants, MemorySegment block, long at);

  @Override
  final void decodeBlock(MemorySegment block, long at, float[] y, int to) {
    float d = getHalf(block, at);
    float m = getHalf(block, at + MINIMUM);
    for (int i = 0; i < SIZE; i++) {
      y[to + i] = d * getQuant(block, at, i) + m;
    }
  }

  @Override
  final void encodeBlock(float[] x, int from, MemorySegment block, long at) {
    float least = x[from];
    float greatest = x[from];
    for (int i = 1; i < SIZE; i++) {
      least = Math.min(least, x[from + i]);
      greatest = Math.max(greatest, x[from + i]);
    }
    float d = (greatest - least) / most;
    float inverse = d == 0 ? 0 : 1 / d;
    putHalf(block, at, d);
    putHalf(block, at + MINIMUM, least);
    byte[] quants = new byte[SIZE];
    for (int i = 0; i < SIZE; i++) {
      // Not negative, so that cutting the fraction rounds.
      quants[i] = (byte) Math.min(most, (int) ((x[from + i] - least) * inverse + 0.5f));
    }
    putQuants(quants, block, at);
  }

  @Override
  final void encodeBlock(
      float[] x,
      int from,
      float[] importance,
      int column,
      float meanSquare,
      MemorySegment block,
      long at) {
    float[] weights = new float[SIZE];
    byte[] quants = new byte[SIZE];
    weigh(x, from, importance, column, meanSquare, weights);
    Affine fit =
        ScaleSearch.affine(x, from, SIZE, weights, Grids.fine(most), quants, 0, new byte[SIZE]);
    putHalf(block, at, fit.scale());
    putHalf(block, at + MINIMUM, -fit.minimum());
    putQuants(quants, block, at);
  }
}
