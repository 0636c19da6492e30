package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.PageSelection;
import java.util.Arrays;
import java.util.List;

/**
 * BUDGETED for a block of consecutive rows of a prompt and one query head: every second row of the
 * block, a probe, scores all tokens by their sketches, and the heaviest pages are read by all rows.
 *
 * @param coverage share of the probes' weight whose pages are read
 */
record BlockSelector(double coverage) {
  /** Rows of a block, which starts at a multiple of this position. */
  static final int ROWS = 64;

  /** Rows before this position read everything. */
  static final int FIRST_POSITION = 8192;

  private static final int PROBE_STRIDE = 2;
  private static final int FIRST_FORCED = 16;
  private static final int NEAR = 1024;

  /** Whether row {@code i} of a block of {@code rows} is a probe; the last one is. */
  static boolean probe(int i, int rows) {
    return (rows - 1 - i) % PROBE_STRIDE == 0;
  }

  /**
   * Fills a slice.
   *
   * @param rows what the head sees from each row of the block
   * @param slice names no token yet
   */
  void select(List<Sight> rows, PageSelection.Slice slice) {
    Sight last = rows.getLast();
    double[] sums = new double[last.visible().entries()];
    for (int i = 0; i < rows.size(); i++) {
      if (probe(i, rows.size())) {
        double[] ofProbe = pageWeights(rows.get(i));
        Arrays.setAll(sums, e -> sums[e] + ofProbe[e]);
      }
    }
    int near = rows.getFirst().visible().last() - NEAR;
    double lightest = lightest(last, sums, near);
    for (int e = 0; e < sums.length; e++) {
      if (forced(last, e, near) || !(sums[e] < lightest)) {
        Selector.readEntry(last.visible(), e, slice);
      }
    }
  }

  /** The share of a row's weight that each page holds, by sketches. */
  private static double[] pageWeights(Sight sight) {
    double[] scores = sight.sketchScores()[0];
    double[] tokens = sight.weights(scores, sight.largest(scores));
    double total = Arrays.stream(tokens).sum();
    double[] pages = new double[sight.visible().entries()];
    for (int i = 0; i < tokens.length; i++) {
      pages[i / QuantizedKvStorage.PAGE_TOKENS] += tokens[i] / total;
    }
    return pages;
  }

  /** The least page weight that is kept; NaN if the weights are not numbers. */
  private double lightest(Sight sight, double[] weights, int near) {
    double[] others = new double[weights.length];
    int count = 0;
    double kept = 0;
    double total = 0;
    for (int e = 0; e < weights.length; e++) {
      total += weights[e];
      if (forced(sight, e, near)) {
        kept += weights[e];
      } else {
        others[count++] = weights[e];
      }
    }
    return Selector.lightest(others, count, kept, total, coverage);
  }

  /** The first page, those near the block and in it, pins, and a page that is not finite. */
  private static boolean forced(Sight sight, int entry, int near) {
    Visible visible = sight.visible();
    int first = visible.view().firstPosition(entry);
    return first < FIRST_FORCED
        || first + visible.view().length(entry) > near
        || visible.view().pinned(entry)
        || Float.isNaN(sight.kv().meanScale(sight.layer(), sight.page(entry), sight.kvHead()));
  }
}
