package dev.jacquard.pruning;

import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.jspecify.annotations.Nullable;

/** What the remaining neurons do for those that are removed. */
public enum Compensation {
  /** Nothing. */
  NONE,
  /** The mean of what is removed is added as a bias of W_down. */
  MEAN,
  /**
   * Each removed neuron is taken to be the sum of remaining ones that is closest to it over the
   * calibration text, plus a constant if W_down may have a bias: W_down takes these sums up.
   */
  FULL;

  /** The name as users write it. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * A smaller W_down and its bias.
   *
   * @param weights [width × kept neurons], row after row
   * @param bias [width] to be added, or null for none
   */
  @SuppressWarnings("ArrayRecordComponent") // made for one caller, never compared
  record Down(float[] weights, float @Nullable [] bias) {}

  /**
   * Leaves columns of W_down out.
   *
   * @param weights [width × neurons], row after row
   * @param kept neurons that remain, ascending
   * @param statistics of the layer
   * @param products of hidden values, needed for {@link #FULL} only
   * @param biased whether W_down may get a bias
   */
  Down apply(
      float[] weights,
      int width,
      int[] kept,
      NeuronStatistics statistics,
      @Nullable Products products,
      boolean biased) {
    int neurons = statistics.neurons();
    int[] removed = without(kept, neurons);
    float[] smaller = new float[width * kept.length];
    for (int row = 0; row < width; row++) {
      for (int k = 0; k < kept.length; k++) {
        smaller[row * kept.length + k] = weights[row * neurons + kept[k]];
      }
    }
    if (this == NONE || removed.length == 0) {
      return new Down(smaller, null);
    }
    DMatrixRMaj left = new DMatrixRMaj(width, removed.length);
    for (int row = 0; row < width; row++) {
      for (int p = 0; p < removed.length; p++) {
        left.unsafe_set(row, p, weights[row * neurons + removed[p]]);
      }
    }
    double[] constant = Arrays.stream(removed).mapToDouble(statistics::mean).toArray();
    if (this == FULL) {
      DMatrixRMaj sums = Objects.requireNonNull(products).sums(kept, removed);
      DMatrixRMaj added = new DMatrixRMaj(width, kept.length);
      CommonOps_DDRM.multTransB(left, sums, added);
      for (int i = 0; i < smaller.length; i++) {
        smaller[i] += (float) added.data[i];
      }
      for (int p = 0; p < removed.length; p++) {
        for (int k = 0; k < kept.length; k++) {
          constant[p] -= sums.unsafe_get(k, p) * statistics.mean(kept[k]);
        }
      }
    }
    return new Down(smaller, biased ? bias(left, constant) : null);
  }

  private static float[] bias(DMatrixRMaj left, double[] constant) {
    float[] bias = new float[left.numRows];
    for (int row = 0; row < bias.length; row++) {
      double sum = 0;
      for (int p = 0; p < constant.length; p++) {
        sum += left.unsafe_get(row, p) * constant[p];
      }
      bias[row] = (float) sum;
    }
    return bias;
  }

  private static int[] without(int[] kept, int neurons) {
    int[] removed = new int[neurons - kept.length];
    int k = 0;
    int p = 0;
    for (int i = 0; i < neurons; i++) {
      if (k < kept.length && kept[k] == i) {
        k++;
      } else {
        removed[p++] = i;
      }
    }
    return removed;
  }
}
