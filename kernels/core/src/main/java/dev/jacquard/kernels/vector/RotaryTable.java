package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import dev.jacquard.kernels.Slot.Domain;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;

/**
 * Cosines and sines for the rows of a step, computed once a step in double precision and used by
 * all layers of the same rotary embedding. As a row kernel it fills the table.
 *
 * <p>A row holds {@code 2·pairs} factors of each kind, one for each turned value of a head: value i
 * becomes {@code value[i]·cosine[i] + partner[i]·sine[i]}, so sines of first values are negative.
 */
final class RotaryTable implements RowKernel {
  private static final VectorShuffle<Float> SWAP_NEIGHBOURS =
      VectorShuffle.fromOp(FLOAT, i -> i ^ 1);

  private final RotaryEmbedding rotary;
  private final int size;
  private final float[] cosines;
  private final float[] sines;

  RotaryTable(RotaryEmbedding rotary, int maxRows) {
    this.rotary = rotary;
    size = 2 * rotary.frequencies().length;
    cosines = new float[maxRows * size];
    sines = new float[maxRows * size];
  }

  @Override
  public void run(Step step, int from, int to, int thread) {
    double[] frequencies = rotary.frequencies();
    int pairs = frequencies.length;
    boolean halves = rotary.pairing() == Pairing.HALVES;
    for (int row = from; row < to; row++) {
      int position = step.inputs().position(row);
      int base = row * size;
      for (int j = 0; j < pairs; j++) {
        double angle = position * frequencies[j];
        float cosine = (float) (Math.cos(angle) * rotary.amplitude());
        float sine = (float) (Math.sin(angle) * rotary.amplitude());
        int first = base + (halves ? j : 2 * j);
        int second = first + (halves ? pairs : 1);
        cosines[first] = cosine;
        cosines[second] = cosine;
        sines[first] = -sine;
        sines[second] = sine;
      }
    }
  }

  /** Turns the heads of rows by this table. */
  @SuppressWarnings("ArrayRecordComponent") // a slot, shared on purpose
  record Rotate(RotaryTable table, float[] inOut, Domain domain, int width, int headSize)
      implements RowKernel {
    @Override
    public void run(Step step, int from, int to, int thread) {
      boolean halves = table.rotary.pairing() == Pairing.HALVES;
      for (int row = from; row < to; row++) {
        int stepRow =
            switch (domain) {
              case ALL -> row;
              case OUTPUT -> step.inputs().outputRow(row);
            };
        int end = (row + 1) * width;
        for (int head = row * width; head < end; head += headSize) {
          if (halves) {
            table.rotateHalves(stepRow, inOut, head);
          } else {
            table.rotateNeighbours(stepRow, inOut, head);
          }
        }
      }
    }
  }

  private void rotateNeighbours(int row, float[] x, int at) {
    int base = row * size;
    int i = 0;
    for (; i + FLOATS <= size; i += FLOATS) {
      FloatVector v = FloatVector.fromArray(FLOAT, x, at + i);
      FloatVector turned =
          v.rearrange(SWAP_NEIGHBOURS).mul(FloatVector.fromArray(FLOAT, sines, base + i));
      v.fma(FloatVector.fromArray(FLOAT, cosines, base + i), turned).intoArray(x, at + i);
    }
    for (; i < size; i += 2) {
      float first = x[at + i];
      float second = x[at + i + 1];
      x[at + i] = Math.fma(first, cosines[base + i], second * sines[base + i]);
      x[at + i + 1] = Math.fma(second, cosines[base + i + 1], first * sines[base + i + 1]);
    }
  }

  private void rotateHalves(int row, float[] x, int at) {
    int pairs = size / 2;
    int base = row * size;
    int j = 0;
    for (; j + FLOATS <= pairs; j += FLOATS) {
      FloatVector first = FloatVector.fromArray(FLOAT, x, at + j);
      FloatVector second = FloatVector.fromArray(FLOAT, x, at + pairs + j);
      first
          .fma(
              FloatVector.fromArray(FLOAT, cosines, base + j),
              second.mul(FloatVector.fromArray(FLOAT, sines, base + j)))
          .intoArray(x, at + j);
      second
          .fma(
              FloatVector.fromArray(FLOAT, cosines, base + pairs + j),
              first.mul(FloatVector.fromArray(FLOAT, sines, base + pairs + j)))
          .intoArray(x, at + pairs + j);
    }
    for (; j < pairs; j++) {
      float first = x[at + j];
      float second = x[at + pairs + j];
      x[at + j] = Math.fma(first, cosines[base + j], second * sines[base + j]);
      x[at + pairs + j] =
          Math.fma(second, cosines[base + pairs + j], first * sines[base + pairs + j]);
    }
  }
}
