package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.PackedMatrix.TILE;

import dev.jacquard.kernels.Op.Activation;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.parallel.WorkerPool;
import org.jspecify.annotations.Nullable;

/**
 * The first half of a gated feed-forward layer: {@code hidden = activation(gate·x) ⊙ (up·x)}, tile
 * by tile, so that the values of {@code up} never leave the cache.
 */
final class GateStage implements Stage, WorkerPool.Task {
  private final Domain domain;
  private final Activations x;
  private final MatMulStage.Product gate;
  private final PackedMatrix up;
  private final float @Nullable [] upBias;
  private final Activation activation;
  private final float[][] upValues;
  private int stride;

  /**
   * The gate's product goes to the hidden values and becomes them.
   *
   * @param upValues a buffer for each thread, enlarged as needed; may be shared with other stages
   */
  GateStage(
      Domain domain,
      Activations x,
      MatMulStage.Product gate,
      PackedMatrix up,
      float @Nullable [] upBias,
      Activation activation,
      float[][] upValues) {
    this.domain = domain;
    this.x = x;
    this.gate = gate;
    this.up = up;
    this.upBias = upBias;
    this.activation = activation;
    this.upValues = upValues;
  }

  @Override
  public void run(Step step) {
    if (step.rows(domain) > 0) {
      run(step.pool());
    }
  }

  /** Computes the rows that are prepared. */
  void run(WorkerPool pool) {
    int grain = MatMulStage.grain(up.tiles(), pool.threads());
    stride = grain * TILE;
    enlarge(upValues, (x.rows() + 1) * stride); // one row more, for exponentials
    pool.run(up.tiles(), grain, this);
  }

  /** Gives each thread's buffer at least {@code size} values. */
  static void enlarge(float[][] buffers, int size) {
    for (int thread = 0; thread < buffers.length; thread++) {
      if (buffers[thread].length < size) {
        buffers[thread] = new float[size];
      }
    }
  }

  @Override
  public void run(int from, int to, int thread) {
    float[] hidden = gate.out();
    float[] buffer = upValues[thread];
    int width = up.rows();
    int first = from * TILE;
    int count = Math.min(to * TILE, width) - first;
    gate.matrix().multiply(x, from, to, hidden, 0, width);
    up.multiply(x, from, to, buffer, -first, stride);
    if (gate.bias() != null) {
      MatMulStage.addBias(gate.bias(), x.rows(), from, to, hidden, 0, width);
    }
    if (upBias != null) {
      MatMulStage.addBias(upBias, x.rows(), from, to, buffer, -first, stride);
    }
    int exponentials = x.rows() * stride;
    for (int row = 0; row < x.rows(); row++) {
      int at = row * width + first;
      int upAt = row * stride;
      activate(activation, hidden, at, buffer, upAt, count, buffer, exponentials);
    }
  }

  /** {@code gate = activation(gate) · up}; a buffer has room for {@code count} exponentials. */
  static void activate(
      Activation activation,
      float[] gate,
      int gateAt,
      float[] up,
      int upAt,
      int count,
      float[] buffer,
      int bufferAt) {
    switch (activation) {
      case SILU -> VectorMath.gateSilu(gate, gateAt, up, upAt, count, buffer, bufferAt);
      case GELU_TANH -> VectorMath.gateGelu(gate, gateAt, up, upAt, count, buffer, bufferAt);
    }
  }
}
