package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.PageSelection;
import java.util.Arrays;

/** Chooses, for one class of exactness, what the query heads of one row read. */
sealed interface Selector permits BudgetedSelector, CertifiedSelector, VerifiedSelector {
  /**
   * Fills a slice of one row.
   *
   * @param slice names no token yet; its heads are those of {@code sight}
   */
  void select(Sight sight, PageSelection.Slice slice);

  /** Has every visible token read in 8 bits. */
  static void readAll(Visible visible, PageSelection.Slice slice) {
    for (int e = 0; e < visible.entries(); e++) {
      readEntry(visible, e, slice);
    }
  }

  /** Has every visible token of an entry read in 8 bits. */
  static void readEntry(Visible visible, int entry, PageSelection.Slice slice) {
    for (int t = visible.start(entry); t < visible.end(entry); t++) {
      mark(slice.fine(), entry, t);
    }
  }

  /** Sets a token's bit. */
  static void mark(char[] masks, int entry, int offset) {
    masks[entry] |= (char) (1 << offset);
  }

  /** Whether a token's bit is set. */
  static boolean marked(char[] masks, int entry, int offset) {
    return (masks[entry] >> offset & 1) != 0;
  }

  /**
   * The least weight of what is kept: the smallest set that holds the share {@code coverage} of
   * {@code total}, and all that weighs as much as its lightest. NaN if the total is no finite
   * number: nothing can be told apart then.
   *
   * @param others weights, {@code count} of them, of what is not kept anyway; sorted here
   * @param kept weight of what is
   */
  static double lightest(double[] others, int count, double kept, double total, double coverage) {
    if (!Double.isFinite(total)) {
      return Double.NaN;
    }
    Arrays.sort(others, 0, count);
    double sum = kept;
    double lightest = Double.POSITIVE_INFINITY;
    for (int i = count - 1; i >= 0 && sum < coverage * total; i--) {
      lightest = others[i];
      sum += lightest;
    }
    return lightest;
  }

  /** Adds the weights of all tokens that are read neither fine nor coarse to those of pages. */
  static void sumFar(Sight sight, PageSelection.Slice slice, int head, double[] weights) {
    Visible visible = sight.visible();
    for (int e = 0; e < visible.entries(); e++) {
      int read = slice.fine()[e] | slice.coarse()[e];
      double sum = 0;
      boolean some = false;
      for (int t = visible.start(e); t < visible.end(e); t++) {
        if ((read >> t & 1) == 0) {
          sum += weights[Visible.place(e, t)];
          some = true;
        }
      }
      if (some) {
        // Never 0: the page must be read, in case its mean is not a number.
        slice.far()[head * slice.entries() + e] = Math.max((float) sum, Float.MIN_VALUE);
      }
    }
  }
}
