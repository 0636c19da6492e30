package dev.jacquard.session;

import dev.jacquard.kernels.HeadReport;
import java.util.Arrays;

/** Adds up what the head computed for several rows. */
final class HeadTally {
  private static final int FIRST_ROOM = 64;

  private int[] counts = new int[FIRST_ROOM];
  private int rows;
  private int dense;
  private int undecided;
  private long bytesRead;
  private long bytesDense;

  /**
   * Adds a row; returns bytes it spared, which may be fewer than 0.
   *
   * @param wasUndecided whether its candidates did not decide
   */
  long add(HeadReport.Row row, boolean wasUndecided) {
    if (rows == counts.length) {
      counts = Arrays.copyOf(counts, 2 * rows);
    }
    counts[rows++] = row.count();
    dense += row.dense() ? 1 : 0;
    undecided += wasUndecided ? 1 : 0;
    bytesRead += row.bytes();
    bytesDense += row.bytesDense();
    return row.bytesDense() - row.bytes();
  }

  HeadStatistics statistics(HeadChoice choice, int vocabulary) {
    int[] sorted = Arrays.copyOf(counts, rows);
    Arrays.sort(sorted);
    return new HeadStatistics(
        choice.headClass(),
        choice.reason(),
        rows,
        vocabulary,
        Arrays.stream(sorted).average().orElse(0),
        rows == 0 ? 0 : sorted[(rows * 19 + 19) / 20 - 1],
        dense,
        undecided,
        bytesRead,
        bytesDense);
  }
}
