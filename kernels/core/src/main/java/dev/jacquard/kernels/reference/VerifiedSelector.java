package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.ErrorAudit;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.PageSelection;
import java.util.Arrays;

/**
 * VERIFIED: BUDGETED with the means of all pages, and random samples of the tokens that enter as
 * means of their pages.
 */
record VerifiedSelector(Exactness.Verified wanted) implements Selector {
  @Override
  public void select(Sight sight, PageSelection.Slice slice) {
    double[][] weights = new BudgetedSelector(wanted.coverage(), true).selectByWeight(sight, slice);
    if (!slice.hasFar()) {
      return;
    }
    slice.openSamples(ErrorAudit.samples(wanted));
    for (int h = 0; h < weights.length; h++) {
      sample(sight, slice, h, weights[h]);
    }
  }

  private void sample(Sight sight, PageSelection.Slice slice, int head, double[] weights) {
    Visible visible = sight.visible();
    int[] places = new int[weights.length];
    double[] upTo = new double[weights.length];
    int count = 0;
    double sum = 0;
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        if (!Selector.marked(slice.fine(), e, t)) {
          sum += weights[Visible.place(e, t)];
          places[count] = Visible.place(e, t);
          upTo[count++] = sum;
        }
      }
    }
    slice.sampledLog()[head] = (float) (slice.farLog()[head] + Math.log(sum));
    for (int i = 0; i < slice.samples(); i++) {
      double u =
          ErrorAudit.uniform(
              wanted.seed(), sight.layer(), slice.firstHead() + head, visible.last(), i);
      int at = places[firstAbove(upTo, count, u * sum)];
      slice.sampleToken()[head * slice.samples() + i] = at;
      slice.sampleLog()[head * slice.samples() + i] =
          (float) (slice.farLog()[head] + Math.log(weights[at]));
    }
  }

  /** Index of the first of {@code count} ascending sums that is above {@code limit}. */
  private static int firstAbove(double[] sums, int count, double limit) {
    int at = Arrays.binarySearch(sums, 0, count, limit);
    int next = at < 0 ? -at - 1 : at;
    while (next < count - 1 && sums[next] <= limit) {
      next++;
    }
    return Math.min(next, count - 1);
  }
}
