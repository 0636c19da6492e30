package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import java.util.Arrays;
import java.util.BitSet;

/** What single rows that have lists read, as docs/attention.md counts it. */
final class ReadingCount {
  /** Numbers of a chunk: a line of the caches, so that threads do not share any. */
  static final int NUMBERS = 16;

  private static final int FINE = 0;
  private static final int COARSE = 1;
  private static final int MEANS = 2;
  private static final int FAR = 3;
  private static final int OTHER_PAGES = 4;
  private static final int VISIBLE = 5;

  private final BitSet distinct = new BitSet();
  private final int[] sums = new int[NUMBERS];

  /**
   * Counts what one chunk of a slice reads, to {@code counts[at …]}.
   *
   * @param means a bit for each entry of the chunk whose mean is read
   */
  static void count(
      SelectionRow row, PageSelection.Slice slice, int chunk, long means, int[] counts, int at) {
    Arrays.fill(counts, at, at + NUMBERS, 0);
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    for (int e = first; e < row.chunkEnd(chunk); e++) {
      int seen = row.visible(e);
      int near = Integer.bitCount(slice.fine()[e] & seen);
      int half = Integer.bitCount(slice.coarse()[e] & seen & ~slice.fine()[e]);
      counts[at + FINE] += near;
      counts[at + COARSE] += half;
      counts[at + VISIBLE] += Integer.bitCount(seen);
      if ((means >>> (e - first) & 1) != 0) {
        counts[at + MEANS]++;
        counts[at + FAR] += Integer.bitCount(seen) - near - half;
      } else if (seen != 0 && !row.open(e)) {
        counts[at + OTHER_PAGES]++;
      }
    }
  }

  /** Adds the reading of a slice of one row to the step's report. */
  void add(
      Step step,
      KvSpec.Layer layer,
      PageSelection.Slice slice,
      boolean whole,
      int[] counts,
      int from,
      int to) {
    Arrays.fill(sums, 0);
    for (int i = from; i < to; i++) {
      sums[(i - from) % NUMBERS] += counts[i];
    }
    Exactness wanted = step.inputs().exactness(step.inputs().sequence(slice.firstRow()));
    add(step.report().row(slice.firstRow()), wanted, layer, slice, whole);
  }

  private void add(
      AttentionReport.Row to,
      Exactness wanted,
      KvSpec.Layer layer,
      PageSelection.Slice slice,
      boolean whole) {
    int valueSize = layer.valueSize();
    long token = (long) QuantizedKv.keyBytes(layer.keySize()) + QuantizedKv.valueBytes(valueSize);
    long visible = sums[VISIBLE];
    int fine = sums[FINE];
    int coarse = sums[COARSE];
    long meanBytes = (long) sums[MEANS] * QuantizedKv.meanBytes(valueSize);
    long sketches = visible * QuantizedKv.sketchBytes(layer.keySize());
    // Of a mean that is not read, BUDGETED looks whether it is a number.
    long scales = (long) sums[OTHER_PAGES] * Short.BYTES;
    long bytes =
        switch (wanted) {
          case Exactness.Dense _ ->
              throw new IllegalStateException("a list for a row whose class is DENSE");
          case Exactness.Budgeted _ -> sketches + scales + meanBytes + fine * token;
          case Exactness.Verified _ ->
              sketches + meanBytes + (whole ? visible : fine + samples(slice)) * token;
          case Exactness.Certified _ ->
              visible * QuantizedKv.keyBytes(layer.keySize())
                  + (long) fine * (QuantizedKv.valueBytes(valueSize) + Short.BYTES)
                  + (long) coarse * QuantizedKv.coarseValueBytes(valueSize)
                  + meanBytes
                  + sums[OTHER_PAGES] * 3L * Short.BYTES;
        };
    to.addReading(
        bytes, visible * token, whole ? visible : fine, whole ? 0 : coarse, whole ? 0 : sums[FAR]);
    if (!(wanted instanceof Exactness.Budgeted)) {
      for (int h = 0; h < slice.heads(); h++) {
        to.addBound(slice.bound()[h]);
        if (whole) {
          to.addEscalation();
        }
      }
    }
  }

  /** Distinct samples of all heads. */
  private int samples(PageSelection.Slice slice) {
    distinct.clear();
    for (int i = 0; i < slice.heads() * slice.samples(); i++) {
      distinct.set(slice.sampleToken()[i]);
    }
    return distinct.cardinality();
  }
}
