package dev.jacquard.kernels.reference;

/** A weighted mean of vectors for each of some heads, as it grows. */
final class WeightedSums {
  private final double[][] numerators;
  private final double[] denominators;

  WeightedSums(int heads, int size) {
    numerators = new double[heads][size];
    denominators = new double[heads];
  }

  /** Adds a vector with a weight. */
  void add(int head, double weight, float[] vector) {
    double[] sum = numerators[head];
    for (int i = 0; i < sum.length; i++) {
      sum[i] += weight * vector[i];
    }
    denominators[head] += weight;
  }

  /** Adds to a numerator and its denominator what a correction says. */
  void add(int head, double factor, double[] vector, double weight) {
    double[] sum = numerators[head];
    for (int i = 0; i < sum.length; i++) {
      sum[i] += factor * vector[i];
    }
    denominators[head] += factor * weight;
  }

  /** The sum of a head's weights. */
  double weight(int head) {
    return denominators[head];
  }

  /** Number {@code i} of a head's mean. */
  double mean(int head, int i) {
    return numerators[head][i] / denominators[head];
  }

  /** Rounds all means to {@code out}, head after head. */
  void store(float[] out, int at) {
    for (int h = 0; h < numerators.length; h++) {
      for (int i = 0; i < numerators[h].length; i++) {
        out[at++] = (float) mean(h, i);
      }
    }
  }
}
