package dev.jacquard.pruning;

/**
 * Sums over the rows of a text of the hidden values of one feed-forward layer. One thread uses it.
 */
final class NeuronStatistics {
  private final double[] sum;
  private final double[] squares;
  private final double[] magnitudes;
  private int rows;

  NeuronStatistics(int neurons) {
    sum = new double[neurons];
    squares = new double[neurons];
    magnitudes = new double[neurons];
  }

  /** Adds {@code count} rows of hidden values. */
  void add(float[] hidden, int count) {
    int neurons = sum.length;
    for (int row = 0; row < count; row++) {
      int at = row * neurons;
      for (int i = 0; i < neurons; i++) {
        double h = hidden[at + i];
        sum[i] += h;
        squares[i] += h * h;
        magnitudes[i] += Math.abs(h);
      }
    }
    rows += count;
  }

  int neurons() {
    return sum.length;
  }

  double mean(int neuron) {
    return sum[neuron] / rows;
  }

  double variance(int neuron) {
    double mean = mean(neuron);
    return Math.max(0, squares[neuron] / rows - mean * mean);
  }

  double meanMagnitude(int neuron) {
    return magnitudes[neuron] / rows;
  }
}
