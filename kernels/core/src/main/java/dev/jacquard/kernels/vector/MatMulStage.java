package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.PackedMatrix.TILE;

import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Several matrices applied to one prepared input; the threads share the tiles of all of them. */
final class MatMulStage implements Stage, WorkerPool.Task {
  /** Chunks for each thread: few, since each costs a little, but enough to even out. */
  private static final int CHUNKS_PER_THREAD = 8;

  /**
   * A matrix and where its results go.
   *
   * @param bias a value for each output, or null
   * @param out rows of {@code matrix.rows} values
   */
  @SuppressWarnings("ArrayRecordComponent") // a slot, shared on purpose
  record Product(PackedMatrix matrix, float @Nullable [] bias, float[] out) {}

  private final Domain domain;
  private final Activations x;
  private final Product[] products;
  private final int tiles;

  MatMulStage(Domain domain, Activations x, List<Product> products) {
    this.domain = domain;
    this.x = x;
    this.products = products.toArray(new Product[0]);
    tiles = products.stream().mapToInt(p -> p.matrix().tiles()).sum();
  }

  /** Tiles of a chunk, so that {@code threads} threads finish at about the same time. */
  static int grain(int tiles, int threads) {
    return Math.max(1, tiles / (threads * CHUNKS_PER_THREAD));
  }

  @Override
  public void run(Step step) {
    if (step.rows(domain) > 0) {
      step.pool().run(tiles, grain(tiles, step.pool().threads()), this);
    }
  }

  @Override
  public void run(int from, int to, int thread) {
    int start = 0;
    for (Product product : products) {
      int end = start + product.matrix().tiles();
      if (from < end && to > start) {
        multiply(product, Math.max(from, start) - start, Math.min(to, end) - start);
      }
      start = end;
    }
  }

  private void multiply(Product product, int firstTile, int lastTile) {
    PackedMatrix matrix = product.matrix();
    float[] out = product.out();
    int width = matrix.rows();
    matrix.multiply(x, firstTile, lastTile, out, 0, width);
    if (product.bias() != null) {
      addBias(product.bias(), x.rows(), firstTile, lastTile, out, 0, width);
    }
  }

  /** Adds the biases of some tiles' outputs, addressed as in {@link PackedMatrix#multiply}. */
  static void addBias(
      float[] bias, int rows, int firstTile, int lastTile, float[] out, int offset, int stride) {
    int first = firstTile * TILE;
    int last = Math.min(lastTile * TILE, bias.length);
    for (int row = 0; row < rows; row++) {
      for (int i = first; i < last; i++) {
        out[offset + row * stride + i] += bias[i];
      }
    }
  }
}
