package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.tensor.Tensor;

/** Products of activations with matrices, summed in double. One thread calls it. */
final class Product {
  private final WorkerPool pool;

  /** One expanded row of a weight for each thread. */
  private final float[][] weightRows;

  Product(Program program, WorkerPool pool) {
    this.pool = pool;
    int columns = program.weights().stream().mapToInt(Weight::columns).max().orElse(0);
    weightRows = new float[pool.threads()][columns];
  }

  /** All values of a vector. */
  static float[] decode(Weight vector) {
    Tensor tensor = vector.tensor();
    float[] values = new float[tensor.rows() * tensor.columns()];
    for (int r = 0; r < tensor.rows(); r++) {
      tensor.decodeRow(r, values, r * tensor.columns());
    }
    return values;
  }

  /** {@code y = W·x + b} for {@code n} rows; each row of W is expanded once. */
  void multiply(float[] x, int n, Op.Linear linear, float[] y) {
    if (n == 0) {
      return;
    }
    Tensor matrix = linear.weight().tensor();
    float[] bias = linear.bias() == null ? null : decode(linear.bias());
    int outputs = matrix.rows();
    int grain = Math.max(1, outputs / (8 * pool.threads()));
    pool.run(
        outputs,
        grain,
        (from, to, thread) -> {
          float[] row = weightRows[thread];
          for (int o = from; o < to; o++) {
            matrix.decodeRow(o, row, 0);
            double b = bias == null ? 0 : bias[o];
            multiplyRow(row, matrix.columns(), x, n, b, y, o, outputs);
          }
        });
  }

  /**
   * One output for all rows. Four rows go side by side, because a single sum waits for each of its
   * additions; the order within a sum is the same. (A product of two floats is exact in double.)
   */
  private static void multiplyRow(
      float[] w, int columns, float[] x, int n, double bias, float[] y, int output, int stride) {
    int r = 0;
    for (; r + 4 <= n; r += 4) {
      int x0 = r * columns;
      int x1 = x0 + columns;
      int x2 = x1 + columns;
      int x3 = x2 + columns;
      double s0 = 0;
      double s1 = 0;
      double s2 = 0;
      double s3 = 0;
      for (int i = 0; i < columns; i++) {
        double wi = w[i];
        s0 += wi * x[x0 + i];
        s1 += wi * x[x1 + i];
        s2 += wi * x[x2 + i];
        s3 += wi * x[x3 + i];
      }
      y[r * stride + output] = (float) (s0 + bias);
      y[(r + 1) * stride + output] = (float) (s1 + bias);
      y[(r + 2) * stride + output] = (float) (s2 + bias);
      y[(r + 3) * stride + output] = (float) (s3 + bias);
    }
    for (; r < n; r++) {
      double sum = 0;
      for (int i = 0; i < columns; i++) {
        sum += (double) w[i] * x[r * columns + i];
      }
      y[r * stride + output] = (float) (sum + bias);
    }
  }

  /** Bytes of a matrix and its bias. */
  static long bytes(Op.Linear linear) {
    long bias = linear.bias() == null ? 0 : linear.bias().tensor().data().byteSize();
    return linear.weight().tensor().data().byteSize() + bias;
  }
}
