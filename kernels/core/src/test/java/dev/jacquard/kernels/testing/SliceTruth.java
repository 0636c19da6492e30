package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.testing.SceneTruth.Seen;
import java.util.Arrays;

/**
 * What one head of a slice should give, from the choice that was made: docs/attention.md once more,
 * in double, relative to one logarithm.
 */
final class SliceTruth {
  private final SceneTruth truth;
  private final PageSelection.Slice slice;
  private final int head;
  private final double[] query;
  private final int position;
  private final double log;
  private final double[] sums;
  private double weight;

  /**
   * Adds everything up.
   *
   * @param head of the slice, from 0
   */
  SliceTruth(SceneTruth truth, PageSelection.Slice slice, int head, double[] query, int position) {
    this.truth = truth;
    this.slice = slice;
    this.head = head;
    this.query = query;
    this.position = position;
    sums = new double[truth.tokens().getFirst().token().value().length];
    log = largest();
    for (Seen seen : truth.tokens()) {
      if (seen.position() <= position && SelectionCheck.fine(slice, seen)) {
        add(Math.exp(truth.score(query, seen) - log), seen.token().value());
      } else if (seen.position() <= position && SelectionCheck.coarse(slice, seen)) {
        add(Math.exp(truth.score(query, seen) - log), seen.token().coarse());
      }
    }
    for (int e = 0; slice.hasFar() && e < slice.entries(); e++) {
      add(far(e) * Math.exp(slice.farLog()[head] - log), truth.page(e).mean());
    }
  }

  private double largest() {
    return truth.tokens().stream()
        .filter(seen -> seen.position() <= position)
        .mapToDouble(seen -> truth.score(query, seen))
        .max()
        .orElseThrow();
  }

  private double far(int entry) {
    return slice.far()[head * slice.entries() + entry];
  }

  private void add(double factor, double[] vector) {
    Arrays.setAll(sums, c -> sums[c] + factor * vector[c]);
    weight += factor;
  }

  /** The output. */
  double[] output() {
    return Arrays.stream(sums).map(sum -> sum / weight).toArray();
  }

  /** Corrects the sums by the samples; returns the bound, without what rounding adds. */
  double audit(Exactness.Verified wanted) {
    int n = slice.samples();
    double left = 0;
    for (int e = 0; e < slice.entries(); e++) {
      left += far(e) * Math.exp(slice.farLog()[head] - log);
    }
    double raise = truth.raise(query, position);
    double[][] x = new double[n][];
    double[] y = new double[n];
    for (int i = 0; i < n; i++) {
      int place = slice.sampleToken()[head * n + i];
      Seen seen = truth.tokens().stream().filter(t -> t.place() == place).findFirst().orElseThrow();
      double ratio = Math.exp(truth.score(query, seen) - truth.sketchScore(query, seen) - raise);
      double[] mean = truth.page(seen.entry()).mean();
      x[i] = seen.token().value().clone();
      Arrays.setAll(x[i], c -> ratio * seen.token().value()[c] - mean[c]);
      y[i] = ratio - 1;
    }
    for (int i = 0; i < n; i++) {
      add(left / n, x[i]);
      weight += left / n * (y[i] - 1); // add() counted a weight of 1
    }
    double[] output = output();
    double squares = 0;
    for (int c = 0; c < output.length; c++) {
      double of = output[c];
      int channel = c;
      double[] errors = new double[n];
      Arrays.setAll(errors, i -> x[i][channel] - of * y[i]);
      double mean = Arrays.stream(errors).average().orElseThrow();
      squares += Arrays.stream(errors).map(e -> (e - mean) * (e - mean)).sum();
    }
    double deviations = Math.sqrt(2 * Math.log(2 / wanted.delta()));
    double error = left / weight * Math.sqrt(squares / n / (n - 1));
    return deviations * error / truth.breadth(position);
  }
}
