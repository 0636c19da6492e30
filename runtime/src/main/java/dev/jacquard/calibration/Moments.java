package dev.jacquard.calibration;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Sums of vectors and of their outer products, from which mean and covariance follow. One thread
 * adds; the work of one call is shared out among the cores by channel, so that the sums do not
 * depend on how many there are.
 */
final class Moments {
  /** Vectors whose products are summed in single precision before they join the double sums. */
  private static final int BLOCK = 64;

  private final int size;

  /** The first vector, which all are taken relative to: a large mean would drown the variance. */
  private final float[] origin;

  private final double[] sums;
  private final double[] products;
  private long count;

  /** Nothing yet, of vectors of {@code size} values. */
  Moments(int size) {
    this.size = size;
    origin = new float[size];
    sums = new double[size];
    products = new double[size * size];
  }

  int size() {
    return size;
  }

  /** Vectors that were added. */
  long count() {
    return count;
  }

  /** Adds {@code rows} vectors, {@code stride} apart, the first at {@code at}. */
  void add(float[] values, int at, int stride, int rows) {
    if (count == 0 && rows > 0) {
      System.arraycopy(values, at, origin, 0, size);
    }
    IntStream.range(0, size).parallel().forEach(c -> add(values, at, stride, rows, c));
    count += rows;
  }

  private void add(float[] values, int at, int stride, int rows, int channel) {
    float[] block = new float[size];
    double sum = 0;
    for (int first = 0; first < rows; first += BLOCK) {
      int end = Math.min(rows, first + BLOCK);
      Arrays.fill(block, channel, size, 0f);
      for (int r = first; r < end; r++) {
        int row = at + r * stride;
        float x = values[row + channel] - origin[channel];
        sum += x;
        addScaled(x, values, row, block, channel);
      }
      for (int c = channel; c < size; c++) {
        products[channel * size + c] += block[c];
      }
    }
    sums[channel] += sum;
  }

  private void addScaled(float x, float[] values, int row, float[] block, int from) {
    float[] zero = origin;
    for (int c = from; c < zero.length; c++) {
      block[c] += x * (values[row + c] - zero[c]);
    }
  }

  double[] mean() {
    double[] mean = new double[size];
    for (int c = 0; c < size; c++) {
      mean[c] = origin[c] + sums[c] / count;
    }
    return mean;
  }

  /** {@code E[x·xᵀ]}, row after row; the mean is not taken off. */
  double[] second() {
    double[] mean = mean();
    double[] result = covariance();
    for (int a = 0; a < size; a++) {
      for (int b = 0; b < size; b++) {
        result[a * size + b] += mean[a] * mean[b];
      }
    }
    return result;
  }

  /** {@code E[(x − mean)·(x − mean)ᵀ]}, row after row. */
  double[] covariance() {
    double[] result = new double[size * size];
    for (int a = 0; a < size; a++) {
      for (int b = a; b < size; b++) {
        double x = products[a * size + b] / count - sums[a] / count * (sums[b] / count);
        result[a * size + b] = x;
        result[b * size + a] = x;
      }
    }
    return result;
  }
}
