package dev.jacquard.pruning;

import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.factory.LinearSolverFactory_DDRM;
import org.ejml.interfaces.linsol.LinearSolverDense;

/**
 * Means of products of the hidden values of one layer, and what follows from them by least squares.
 *
 * @param gram sums of products
 * @param statistics of the same rows
 * @param centred whether products are taken about the means: where a constant may be added, it can
 *     stand for them
 */
record Products(Gram gram, NeuronStatistics statistics, boolean centred) {
  /**
   * Added to the diagonal of correlations, so that what the text hardly shows has little weight.
   */
  private static final double RIDGE = 0.01;

  /** The mean product of two neurons. */
  double mean(int i, int j) {
    double mean = gram.mean(i, j);
    return centred ? mean - statistics.mean(i) * statistics.mean(j) : mean;
  }

  /**
   * For each removed neuron how much of each remaining one it is: the sum that is closest to it.
   *
   * @return [kept × removed]
   */
  DMatrixRMaj sums(int[] kept, int[] removed) {
    double[] scale = scale(kept);
    int n = kept.length;
    DMatrixRMaj wanted = new DMatrixRMaj(n, removed.length);
    for (int k = 0; k < n; k++) {
      for (int p = 0; p < removed.length; p++) {
        wanted.unsafe_set(k, p, mean(kept[k], removed[p]) * scale[k]);
      }
    }
    DMatrixRMaj sums = new DMatrixRMaj(n, removed.length);
    solver(kept, scale).solve(wanted, sums);
    for (int k = 0; k < n; k++) {
      for (int p = 0; p < removed.length; p++) {
        sums.unsafe_set(k, p, sums.unsafe_get(k, p) * scale[k]);
      }
    }
    return sums;
  }

  /** For each neuron the mean square of what the best sum of all others leaves of it. */
  double[] residuals() {
    int n = statistics.neurons();
    int[] all = new int[n];
    for (int i = 0; i < n; i++) {
      all[i] = i;
    }
    double[] scale = scale(all);
    DMatrixRMaj inverse = new DMatrixRMaj(n, n);
    solver(all, scale).invert(inverse);
    double[] residuals = new double[n];
    for (int i = 0; i < n; i++) {
      residuals[i] = Math.max(0, mean(i, i)) / inverse.unsafe_get(i, i);
    }
    return residuals;
  }

  /** One over the roots of the mean squares: neurons differ by orders of magnitude. */
  private double[] scale(int[] neurons) {
    double[] scale = new double[neurons.length];
    for (int k = 0; k < scale.length; k++) {
      double square = mean(neurons[k], neurons[k]);
      scale[k] = square > 0 ? 1 / Math.sqrt(square) : 0;
    }
    return scale;
  }

  private LinearSolverDense<DMatrixRMaj> solver(int[] neurons, double[] scale) {
    int n = neurons.length;
    DMatrixRMaj correlations = new DMatrixRMaj(n, n);
    for (int k = 0; k < n; k++) {
      for (int j = 0; j < k; j++) {
        double c = mean(neurons[k], neurons[j]) * scale[k] * scale[j];
        correlations.unsafe_set(k, j, c);
        correlations.unsafe_set(j, k, c);
      }
      correlations.unsafe_set(k, k, 1 + RIDGE);
    }
    LinearSolverDense<DMatrixRMaj> solver = LinearSolverFactory_DDRM.symmPosDef(n);
    if (!solver.setA(correlations)) {
      throw new PruningException(
          "the hidden values of a layer depend on one another too closely to compensate for"
              + " removed neurons: calibrate on more text, or use less compensation");
    }
    return solver;
  }
}
