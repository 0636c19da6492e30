package dev.jacquard.kernels;

import dev.jacquard.tensor.Tensor;

/**
 * A named tensor of a model. The backend decides its layout when it compiles, once per name,
 * however many ops use it.
 *
 * @param name unique in its program, as {@code "blk.0.attn_q.weight"}
 * @param tensor rows = outputs, columns = inputs; a vector has one row. Its memory stays valid
 *     while an executable that uses it lives
 */
public record Weight(String name, Tensor tensor) {
  /** Number of outputs. */
  public int rows() {
    return tensor.rows();
  }

  /** Number of inputs. */
  public int columns() {
    return tensor.columns();
  }

  /** The name with format and shape. */
  @Override
  public String toString() {
    return name + " (" + tensor.format().name() + ", " + tensor.shape() + ")";
  }
}
