package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.PageSelection;
import java.util.Arrays;

/**
 * BUDGETED: sketches estimate the weights, and the heavy tokens of each head are read.
 *
 * @param coverage share of the estimated weight that is read, as tokens or as means of pages, where
 *     the tolerance of the basis is 1
 * @param everyMean whether the means of light pages are read as well
 */
record BudgetedSelector(double coverage, boolean everyMean) implements Selector {
  @Override
  public void select(Sight sight, PageSelection.Slice slice) {
    selectByWeight(sight, slice);
  }

  /** Fills a slice; returns the estimated weights {@code exp(score − farLog)} of each head. */
  double[][] selectByWeight(Sight sight, PageSelection.Slice slice) {
    double[][] scores = sight.estimatedScores();
    double[][] weights = new double[scores.length][];
    double[] limits = new double[scores.length];
    for (int h = 0; h < scores.length; h++) {
      slice.farLog()[h] = (float) sight.largest(scores[h]);
      weights[h] = sight.weights(scores[h], slice.farLog()[h]);
      limits[h] = limit(sight, weights[h]);
      keepHeavy(sight.visible(), weights[h], limits[h], slice);
    }
    if (readsAll(sight.visible(), slice)) {
      return weights;
    }
    slice.openFar();
    for (int h = 0; h < weights.length; h++) {
      Selector.sumFar(sight, slice, h, weights[h]);
    }
    if (!everyMean) {
      leaveLightPages(sight, slice, limits);
    }
    return weights;
  }

  /** The weight from which on a token or the rest of a page is read; NaN if there is no total. */
  private double limit(Sight sight, double[] weights) {
    double total = Arrays.stream(weights).sum();
    double tolerance = sight.kv().basis(sight.layer(), sight.kvHead()).tolerance();
    return Double.isFinite(total)
        ? tolerance * (1 - coverage) * total / sight.visible().entries()
        : Double.NaN;
  }

  private static void keepHeavy(
      Visible visible, double[] weights, double limit, PageSelection.Slice slice) {
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        // A limit that is no number keeps everything.
        if (visible.forced(e, t) || !(weights[Visible.place(e, t)] < limit)) {
          Selector.mark(slice.fine(), e, t);
        }
      }
    }
  }

  /** A page that is light for all heads is left out, unless its mean is no number. */
  private static void leaveLightPages(Sight sight, PageSelection.Slice slice, double[] limits) {
    for (int e = 0; e < slice.entries(); e++) {
      boolean read =
          Float.isNaN(sight.kv().meanScale(sight.layer(), sight.page(e), sight.kvHead()));
      for (int h = 0; h < limits.length; h++) {
        read |= !(slice.far()[h * slice.entries() + e] < limits[h]);
      }
      for (int h = 0; h < limits.length && !read; h++) {
        slice.far()[h * slice.entries() + e] = 0;
      }
    }
  }

  private static boolean readsAll(Visible visible, PageSelection.Slice slice) {
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        if (!Selector.marked(slice.fine(), e, t)) {
          return false;
        }
      }
    }
    return true;
  }
}
