package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;
import static dev.jacquard.kernels.vector.Lanes.VECTOR_BYTES;
import static dev.jacquard.kernels.vector.PackedMatrix.TILE;
import static dev.jacquard.kernels.vector.Q8_0PlanesMatrix.BLOCK;
import static dev.jacquard.kernels.vector.Q8_0PlanesMatrix.NORM_UNITS;
import static dev.jacquard.kernels.vector.Q8_0PlanesMatrix.WORD_COLUMNS;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The upper four bits of a {@link Q8_0PlanesMatrix}. With u the upper and l the lower bits of a
 * code, the weight is {@code d·(16u + l − 128)} and its estimate {@code d·(16u + 7.5 − 128)}. What
 * is left out of a row is, by Cauchy and Schwarz for each block b of 32 columns, at most {@code Σ_b
 * |d_b|·‖x_b‖·n_b} with the stored norm n_b = √Σ(l − 7.5)².
 *
 * <p><b>Rounding.</b> Let ε = 2⁻²⁴, K columns, X = Σ|d·x|. Products of up to five columns are
 * summed as {@code x·(1 + u·2^(p − 23))}, p = 12 (three columns) or 16, from minus what the ones
 * and the offset give, then multiplied by {@code d·2^(27 − p)}: the worst is p = 12, at most 7.1·ε
 * of Σ|x| times 2¹⁵, 0.0138·X. Adding these up: K/4 sums of at most 121·X, 1.81e-6·K·X. The chain
 * of the dense product: K sums of at most 128·X, 7.63e-6·K·X. Together below {@code (0.0145 +
 * 1.1e-5·K)·X}, which the last addition's rounding fits into. The sum of the bounds themselves has
 * only positive terms, and its factors are rounded up.
 */
final class NibblePlane implements CoarsePlane {
  private static final int ONE = 0x3f800000;

  /** {@code 16u + 7.5 − 128 = 16·(u − OFFSET)}. */
  private static final double OFFSET = 7.53125;

  private static final double ROUNDING_OF_SUMS = 0.0145;
  private static final double ROUNDING_PER_COLUMN = 1.1e-5;

  /** Beyond, products might overflow or lose all their bits. */
  private static final float LARGEST = 0x1p60f;

  private static final float SMALLEST = 0x1p-60f;

  private final Q8_0PlanesMatrix matrix;
  private final long bytes;
  private float[] x = new float[0];

  /** For each word what its sums start from: three columns, and five. */
  private final float[] start12;

  private final float[] start16;

  /** For each block the factor of a norm's byte, and what rounding adds; both times 2⁻¹¹. */
  private final float[] factors;

  private final float[] slack;

  NibblePlane(Q8_0PlanesMatrix matrix) {
    this.matrix = matrix;
    bytes = matrix.tiles() * Q8_0PlanesMatrix.coarseBytes(matrix.columns());
    start12 = new float[matrix.columns() / WORD_COLUMNS];
    start16 = new float[matrix.columns() / WORD_COLUMNS];
    factors = new float[matrix.columns() / BLOCK];
    slack = new float[matrix.columns() / BLOCK];
  }

  @Override
  public long bytes() {
    return bytes;
  }

  @Override
  public boolean ask(float[] activations) {
    x = activations;
    float largest = 0;
    for (int k = 0; k < matrix.columns(); k++) {
      largest = Math.max(largest, Math.abs(x[k])); // NaN stays
    }
    if (!(largest >= SMALLEST && largest <= LARGEST)) {
      return false;
    }
    for (int j = 0; j < start12.length; j++) {
      int k = j * WORD_COLUMNS;
      double three = (double) x[k] + x[k + 1] + x[k + 2];
      double five = (double) x[k + 3] + x[k + 4] + x[k + 5] + x[k + 6] + x[k + 7];
      start12[j] = (float) (-three * (1 + OFFSET * 0x1p-11));
      start16[j] = (float) (-five * (1 + OFFSET * 0x1p-7));
    }
    double up = (1 + (factors.length + 8) * 0x1p-23) * 0x1p-11;
    double rounding = ROUNDING_OF_SUMS + ROUNDING_PER_COLUMN * matrix.columns();
    for (int b = 0; b < factors.length; b++) {
      double squares = 0;
      double sum = 0;
      for (int k = b * BLOCK; k < (b + 1) * BLOCK; k++) {
        squares += (double) x[k] * x[k];
        sum += Math.abs(x[k]);
      }
      factors[b] = (float) (Math.sqrt(squares) / NORM_UNITS * up);
      slack[b] = (float) (sum * rounding * up);
    }
    return true;
  }

  @Override
  public void scan(int firstTile, int lastTile, float sigmas, float[] upper) {
    Scratch scratch = Scratch.get();
    float[] sums = scratch.sums;
    for (int tile = firstTile; tile < lastTile; tile++) {
      Arrays.fill(sums, 0, 3 * TILE, 0);
      for (int first = 0; first < matrix.columns(); first += FloatMatrix.CHUNK) {
        int count = Math.min(FloatMatrix.CHUNK, matrix.columns() - first);
        long chunk = matrix.coarseChunk(tile, first);
        matrix.decodeScales(chunk, count, 0x1p11f, scratch);
        long words = chunk + Q8_0PlanesMatrix.upperAt(count);
        long norms = chunk + Q8_0PlanesMatrix.normsAt(count);
        for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
          estimate(matrix.data, words, lane, count, scratch.scales, first, sums);
        }
        for (int lane = 0; lane < TILE; lane += FLOATS) {
          if (sigmas == 0) {
            addBounds(matrix.data, norms, lane, count, scratch.scales, first / BLOCK, sums);
          } else {
            addVariances(matrix.data, norms, lane, count, scratch.scales, first / BLOCK, sums);
          }
        }
      }
      float deviations = sigmas / (float) Math.sqrt(BLOCK);
      for (int i = 0; i < TILE; i++) {
        float bound = sums[TILE + i] + deviations * (float) Math.sqrt(sums[2 * TILE + i]);
        upper[tile * TILE + i] = sums[i] + bound;
      }
    }
  }

  /** Adds the estimates of a chunk's columns to {@code sums[lane …]}, two vectors of outputs. */
  private void estimate(
      MemorySegment data,
      long words,
      int lane,
      int count,
      float[] scales,
      int first,
      float[] sums) {
    float[] a = x;
    float[] start3 = start12;
    float[] start5 = start16;
    FloatVector sum0 = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sum1 = FloatVector.fromArray(FLOAT, sums, lane + FLOATS);
    for (int j = 0; j < count / WORD_COLUMNS; j++) {
      int group = j / 4 * TILE + lane;
      long word = words + lane * 4L + j * (TILE * 4L);
      int k = first + j * WORD_COLUMNS;
      IntVector w0 = IntVector.fromMemorySegment(INT, data, word, ORDER);
      IntVector w1 = IntVector.fromMemorySegment(INT, data, word + VECTOR_BYTES, ORDER);
      FloatVector x1 = FloatVector.broadcast(FLOAT, a[k + 1]);
      FloatVector a0 = FloatVector.broadcast(FLOAT, start3[k / WORD_COLUMNS]);
      FloatVector a1 = w1.and(0xf000).or(ONE).reinterpretAsFloats().fma(x1, a0);
      a0 = w0.and(0xf000).or(ONE).reinterpretAsFloats().fma(x1, a0);
      FloatVector x6 = FloatVector.broadcast(FLOAT, a[k + 6]);
      FloatVector b0 = FloatVector.broadcast(FLOAT, start5[k / WORD_COLUMNS]);
      FloatVector b1 = w1.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x6, b0);
      b0 = w0.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x6, b0);
      IntVector v0 = w0.lanewise(VectorOperators.LSHL, 8);
      IntVector v1 = w1.lanewise(VectorOperators.LSHL, 8);
      FloatVector x0 = FloatVector.broadcast(FLOAT, a[k]);
      a0 = v0.and(0xf000).or(ONE).reinterpretAsFloats().fma(x0, a0);
      a1 = v1.and(0xf000).or(ONE).reinterpretAsFloats().fma(x0, a1);
      FloatVector x5 = FloatVector.broadcast(FLOAT, a[k + 5]);
      b0 = v0.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x5, b0);
      b1 = v1.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x5, b1);
      v0 = w0.lanewise(VectorOperators.LSHR, 8);
      v1 = w1.lanewise(VectorOperators.LSHR, 8);
      FloatVector x2 = FloatVector.broadcast(FLOAT, a[k + 2]);
      a0 = v0.and(0xf000).or(ONE).reinterpretAsFloats().fma(x2, a0);
      a1 = v1.and(0xf000).or(ONE).reinterpretAsFloats().fma(x2, a1);
      FloatVector x7 = FloatVector.broadcast(FLOAT, a[k + 7]);
      b0 = v0.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x7, b0);
      b1 = v1.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x7, b1);
      FloatVector x4 = FloatVector.broadcast(FLOAT, a[k + 4]);
      v0 = w0.lanewise(VectorOperators.LSHL, 16);
      v1 = w1.lanewise(VectorOperators.LSHL, 16);
      b0 = v0.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x4, b0);
      b1 = v1.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x4, b1);
      FloatVector x3 = FloatVector.broadcast(FLOAT, a[k + 3]);
      v0 = w0.lanewise(VectorOperators.LSHR, 12);
      v1 = w1.lanewise(VectorOperators.LSHR, 12);
      b0 = v0.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x3, b0);
      b1 = v1.and(0xf0000).or(ONE).reinterpretAsFloats().fma(x3, b1);
      FloatVector d0 = FloatVector.fromArray(FLOAT, scales, group);
      FloatVector d1 = FloatVector.fromArray(FLOAT, scales, group + FLOATS);
      sum0 = a0.fma(d0.mul(16), b0.fma(d0, sum0));
      sum1 = a1.fma(d1.mul(16), b1.fma(d1, sum1));
    }
    sum0.intoArray(sums, lane);
    sum1.intoArray(sums, lane + FLOATS);
  }

  /** Adds {@code |d|·(‖x_b‖·n_b + rounding)} of a chunk's blocks to {@code sums[TILE + lane …]}. */
  private void addBounds(
      MemorySegment data,
      long norms,
      int lane,
      int count,
      float[] scales,
      int firstBlock,
      float[] sums) {
    FloatVector sum = FloatVector.fromArray(FLOAT, sums, TILE + lane);
    for (int b = 0; b < count / BLOCK; b++) {
      IntVector four =
          IntVector.fromMemorySegment(INT, data, norms + (b / 4 * TILE + lane) * 4L, ORDER);
      FloatVector norm =
          (FloatVector)
              four.lanewise(VectorOperators.LSHR, b % 4 * 8).and(0xff).castShape(FLOAT, 0);
      FloatVector bound =
          norm.fma(
              FloatVector.broadcast(FLOAT, factors[firstBlock + b]),
              FloatVector.broadcast(FLOAT, slack[firstBlock + b]));
      sum = bound.fma(FloatVector.fromArray(FLOAT, scales, b * TILE + lane).abs(), sum);
    }
    sum.intoArray(sums, TILE + lane);
  }

  /**
   * Adds what rounding may add to {@code sums[TILE + lane …]}, and {@code (d·‖x_b‖·n_b)²}, which is
   * 32 times the variance, to {@code sums[2·TILE + lane …]}.
   */
  private void addVariances(
      MemorySegment data,
      long norms,
      int lane,
      int count,
      float[] scales,
      int firstBlock,
      float[] sums) {
    FloatVector sum = FloatVector.fromArray(FLOAT, sums, TILE + lane);
    FloatVector squares = FloatVector.fromArray(FLOAT, sums, 2 * TILE + lane);
    for (int b = 0; b < count / BLOCK; b++) {
      IntVector four =
          IntVector.fromMemorySegment(INT, data, norms + (b / 4 * TILE + lane) * 4L, ORDER);
      FloatVector norm =
          (FloatVector)
              four.lanewise(VectorOperators.LSHR, b % 4 * 8).and(0xff).castShape(FLOAT, 0);
      FloatVector d = FloatVector.fromArray(FLOAT, scales, b * TILE + lane).abs();
      FloatVector length = norm.mul(factors[firstBlock + b]).mul(d);
      squares = length.fma(length, squares);
      sum = d.fma(FloatVector.broadcast(FLOAT, slack[firstBlock + b]), sum);
    }
    sum.intoArray(sums, TILE + lane);
    squares.intoArray(sums, 2 * TILE + lane);
  }
}
