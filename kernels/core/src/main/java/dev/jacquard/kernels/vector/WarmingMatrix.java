package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.Tensor;

/**
 * A packed matrix that is multiplied by plain code over the stored rows until its vector kernel is
 * warm. Both have the same bits, so it may change over from one tile to the next.
 */
final class WarmingMatrix extends PackedMatrix {
  private final PackedMatrix packed;
  private final Tensor stored;
  private final WarmUp.Kernel kernel;

  WarmingMatrix(PackedMatrix packed, Tensor stored, WarmUp.Kernel kernel) {
    super(packed.rows(), packed.columns(), packed.data);
    this.packed = packed;
    this.stored = stored;
    this.kernel = kernel;
  }

  @Override
  long bytesRead() {
    return packed.bytesRead();
  }

  @Override
  void multiply(
      Activations x, int firstTile, int lastTile, float[] out, int outOffset, int outStride) {
    int tile = firstTile;
    while (tile < lastTile && !kernel.isWarm(x.rows())) {
      ScalarProduct.multiplyTile(stored, tile, x, out, outOffset, outStride);
      tile++;
    }
    if (tile < lastTile) {
      packed.multiply(x, tile, lastTile, out, outOffset, outStride);
    }
  }
}
