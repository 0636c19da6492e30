package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.tensor.Tensor;
import jdk.incubator.vector.FloatVector;

/**
 * The ops that treat each row on its own. Arrays are slots: {@code width} floats a row, row after
 * row.
 */
@SuppressWarnings("ArrayRecordComponent") // slots are shared on purpose; nobody compares kernels
final class RowKernels {
  private RowKernels() {}

  /** {@code out = scale · table[token]}, from the stored rows. */
  record Embed(Tensor table, float scale, float[] out) implements RowKernel {
    @Override
    public void run(Step step, int from, int to, int thread) {
      int width = table.columns();
      for (int row = from; row < to; row++) {
        int token = step.inputs().token(row);
        if (token < 0 || token >= table.rows()) {
          throw new IllegalArgumentException(
              "token " + token + " in row " + row + ": the vocabulary has " + table.rows());
        }
        table.decodeRow(token, out, row * width);
        if (scale != 1) {
          for (int i = 0; i < width; i++) {
            out[row * width + i] *= scale;
          }
        }
      }
    }
  }

  /**
   * Root mean square norm of groups of {@code weight.length} values.
   *
   * @param chains a buffer for each thread
   */
  record Norm(float[] in, int width, float[] weight, float epsilon, float[] out, float[][] chains)
      implements RowKernel {
    @Override
    public void run(Step step, int from, int to, int thread) {
      int count = weight.length;
      for (int at = from * width; at < to * width; at += count) {
        float squares = VectorMath.dot(in, at, in, at, count, chains[thread]);
        float factor = (float) (1 / Math.sqrt(squares / (double) count + epsilon));
        int i = 0;
        for (; i + FLOATS <= count; i += FLOATS) {
          FloatVector.fromArray(FLOAT, in, at + i)
              .mul(factor)
              .mul(FloatVector.fromArray(FLOAT, weight, i))
              .intoArray(out, at + i);
        }
        for (; i < count; i++) {
          out[at + i] = in[at + i] * factor * weight[i];
        }
      }
    }
  }

  /** {@code out = a + b}. */
  record Add(float[] a, float[] b, int width, float[] out) implements RowKernel {
    @Override
    public void run(Step step, int from, int to, int thread) {
      int i = from * width;
      int end = to * width;
      for (; i + FLOATS <= end; i += FLOATS) {
        FloatVector.fromArray(FLOAT, a, i)
            .add(FloatVector.fromArray(FLOAT, b, i))
            .intoArray(out, i);
      }
      for (; i < end; i++) {
        out[i] = a[i] + b[i];
      }
    }
  }

  /** Copies the rows whose output is wanted. */
  record Select(float[] in, int width, float[] out) implements RowKernel {
    @Override
    public void run(Step step, int from, int to, int thread) {
      for (int row = from; row < to; row++) {
        System.arraycopy(in, step.inputs().outputRow(row) * width, out, row * width, width);
      }
    }
  }

  /** Stores the rows' keys and values where the step says. */
  record WriteKv(int layer, float[] key, int keyWidth, float[] value, int valueWidth)
      implements RowKernel {
    @Override
    public void run(Step step, int from, int to, int thread) {
      StepInputs inputs = step.inputs();
      SlabKvStorage kv = step.kv();
      int group = kv.group(layer);
      for (int row = from; row < to; row++) {
        kv.write(
            layer,
            inputs.writePage(group, row),
            inputs.writeOffset(group, row),
            key,
            row * keyWidth,
            value,
            row * valueWidth);
      }
    }
  }

  /** Brings rows into the form that matrices read. */
  record Prepare(float[] in, int width, Domain domain, Activations x) implements RowKernel {
    @Override
    public void begin(Step step) {
      x.begin(step.rows(domain), width);
    }

    @Override
    public void run(Step step, int from, int to, int thread) {
      int lastPanel = (to + Activations.PANEL - 1) / Activations.PANEL;
      x.prepare(in, 0, width, from / Activations.PANEL, lastPanel);
    }
  }
}
