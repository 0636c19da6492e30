package dev.jacquard.benchmarks;

import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;

/** Seeded random weights in any number format. */
final class RandomTensors {
  private RandomTensors() {}

  /** Normal values of variance 1/columns, encoded row by row; memory belongs to {@code arena}. */
  static Weight weight(
      String name, ElementFormat format, int rows, int columns, Arena arena, long seed) {
    var random = new SplittableRandom(seed);
    MemorySegment data = arena.allocate(format.bytes((long) rows * columns), 64);
    float[] row = new float[columns];
    double deviation = 1 / Math.sqrt(columns);
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        row[c] = (float) (random.nextGaussian() * deviation);
      }
      format.encode(row, 0, columns, data, r * format.bytes(columns));
    }
    return new Weight(name, new Tensor(format, Shape.of(columns, rows), data));
  }
}
