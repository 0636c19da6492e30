package dev.jacquard.kernels.vector;

import dev.jacquard.memory.GuardPages;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;

/**
 * A seeded matrix of one format with activations, for the tests of packed matrices. File and tiles
 * end at guard pages and are not aligned.
 */
final class MatrixCase {
  private final Tensor tensor;
  private final PackedMatrix packed;
  private final float[] input;

  MatrixCase(Tensor tensor, PackedMatrix packed, float[] input) {
    this.tensor = tensor;
    this.packed = packed;
    this.input = input;
  }

  Tensor tensor() {
    return tensor;
  }

  PackedMatrix packed() {
    return packed;
  }

  float[] input() {
    return input;
  }

  /** Weights and activations are drawn from a normal distribution. */
  static MatrixCase of(ElementFormat format, int rows, int columns, int inputRows, long seed) {
    Random random = new Random(seed);
    MemorySegment data = GuardPages.allocate(Arena.ofAuto(), format.bytes((long) rows * columns));
    float[] row = new float[columns];
    for (int i = 0; i < rows; i++) {
      fill(row, random, 0.05f);
      format.encode(row, 0, columns, data, i * format.bytes(columns));
    }
    float[] input = new float[inputRows * columns];
    fill(input, random, 1);
    Tensor tensor = new Tensor(format, Shape.of(columns, rows), data);
    return new MatrixCase(tensor, pack(tensor), input);
  }

  static PackedMatrix pack(Tensor tensor) {
    PackedLayout layout = PackedMatrices.layoutFor(tensor.format());
    int tiles = PackedMatrix.tiles(tensor.rows());
    long tileBytes = layout.tileBytes(tensor.columns());
    MemorySegment packed = GuardPages.allocate(Arena.ofAuto(), tiles * tileBytes);
    for (int tile = 0; tile < tiles; tile++) {
      layout.packTile(tensor, tile, packed, tile * tileBytes);
    }
    return layout.view(tensor.rows(), tensor.columns(), packed);
  }

  /** The first {@code rows} rows of the input, prepared. */
  Activations activations(int rows) {
    Activations x = new Activations(rows, tensor.columns());
    x.begin(rows, tensor.columns());
    x.prepare(input, 0, tensor.columns(), 0, x.panels());
    return x;
  }

  /** All outputs for the first {@code rows} rows of the input. */
  float[] multiply(int rows) {
    float[] out = new float[rows * tensor.rows()];
    packed.multiply(activations(rows), 0, packed.tiles(), out, 0, tensor.rows());
    return out;
  }

  private static void fill(float[] values, Random random, float deviation) {
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() * deviation;
    }
  }
}
