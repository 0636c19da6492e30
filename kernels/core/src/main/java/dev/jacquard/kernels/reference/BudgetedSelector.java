package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.PageSelection;

/**
 * BUDGETED: sketches estimate the weights, and the heaviest tokens of each head are read.
 *
 * @param coverage share of the estimated weight whose tokens are read
 */
record BudgetedSelector(double coverage) implements Selector {
  @Override
  public void select(Sight sight, PageSelection.Slice slice) {
    selectByWeight(sight, slice);
  }

  /** Fills a slice; returns the estimated weights {@code exp(score − farLog)} of each head. */
  double[][] selectByWeight(Sight sight, PageSelection.Slice slice) {
    double[][] scores = sight.estimatedScores();
    double[][] weights = new double[scores.length][];
    for (int h = 0; h < scores.length; h++) {
      slice.farLog()[h] = (float) sight.largest(scores[h]);
      weights[h] = sight.weights(scores[h], slice.farLog()[h]);
      keepHeaviest(sight.visible(), weights[h], slice);
    }
    if (readsAll(sight.visible(), slice)) {
      return weights;
    }
    slice.openFar();
    for (int h = 0; h < weights.length; h++) {
      Selector.sumFar(sight, slice, h, weights[h]);
    }
    return weights;
  }

  private void keepHeaviest(Visible visible, double[] weights, PageSelection.Slice slice) {
    double total = 0;
    double kept = 0;
    double[] others = new double[weights.length];
    int count = 0;
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        double weight = weights[Visible.place(e, t)];
        total += weight;
        if (visible.forced(e, t)) {
          kept += weight;
        } else {
          others[count++] = weight;
        }
      }
    }
    double lightest = Selector.lightest(others, count, kept, total, coverage);
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        // A limit that is no number keeps everything.
        if (visible.forced(e, t) || !(weights[Visible.place(e, t)] < lightest)) {
          Selector.mark(slice.fine(), e, t);
        }
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
