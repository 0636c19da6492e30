package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.tensor.Tensor;
import jdk.incubator.vector.FloatVector;

/**
 * The matrix W_up [neurons × width], of which single rows are multiplied. Lanes are columns; the
 * order of a sum is the same at every vector width, but another one than that of {@link
 * FloatMatrix}. Immutable; any thread may use it while its memory lives.
 */
abstract class UpRows {
  /** Bytes of own memory. */
  abstract long bytes();

  /** Bytes that are read for one row. */
  abstract long rowBytes();

  /** Numbers that {@link #prepare} writes. */
  abstract int preparedSize();

  /** Brings a row of activations into the form that {@link #dot} reads. */
  abstract void prepare(float[] x, int offset, float[] prepared);

  /** {@code Σ_k W[neuron][k]·x[k]}. */
  abstract float dot(int neuron, float[] prepared, Scratch scratch);

  /** Rows as the file has them, expanded by the format's decoder. */
  static final class Stored extends UpRows {
    private final Tensor up;
    private final FloatColumns.Storage storage;

    Stored(Tensor up) {
      this.up = up;
      storage = FloatColumns.Storage.of(up.format());
    }

    @Override
    long bytes() {
      return 0;
    }

    @Override
    long rowBytes() {
      return up.rowBytes();
    }

    @Override
    int preparedSize() {
      return up.columns();
    }

    @Override
    void prepare(float[] x, int offset, float[] prepared) {
      System.arraycopy(x, offset, prepared, 0, up.columns());
    }

    @Override
    float dot(int neuron, float[] prepared, Scratch scratch) {
      int columns = up.columns();
      float[] row = scratch.rows(columns);
      if (storage == FloatColumns.Storage.HALF) {
        long at = neuron * up.rowBytes();
        for (int k = 0; k < columns; k += FloatMatrix.CHUNK) {
          int count = Math.min(FloatMatrix.CHUNK, columns - k);
          scratch.halvesToFloats(up.data(), at + 2L * k, count, 1, row, k);
        }
      } else {
        up.decodeRow(neuron, row, 0);
      }
      return VectorMath.dot(row, 0, prepared, 0, columns, scratch.sums);
    }
  }

  /** Sums that become one. */
  static final int CHAINS = 64;

  /** Adds {@link #CHAINS} sums up, halving. */
  static float total(float[] chains) {
    for (int half = CHAINS / 2; half >= FLOATS; half /= 2) {
      for (int i = 0; i < half; i += FLOATS) {
        FloatVector.fromArray(FLOAT, chains, i)
            .add(FloatVector.fromArray(FLOAT, chains, i + half))
            .intoArray(chains, i);
      }
    }
    return VectorMath.pairwiseSum(chains, Math.min(CHAINS, FLOATS));
  }
}
