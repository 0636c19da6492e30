package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import java.util.BitSet;

/** What single rows that have lists read, as docs/attention.md counts it. */
final class ReadingCount {
  private static final float[] NO_QUERIES = {};

  private final SelectionRow row = new SelectionRow();
  private final BitSet distinct = new BitSet();
  private int fine;
  private int coarse;
  private int far;
  private int means;
  private int otherPages;
  private long visible;

  /** Adds the reading of all slices of single rows of a layer to the step's report. */
  void add(
      Step step, Op.Attention op, KvSpec.Layer layer, PageSelection selection, boolean[] failed) {
    int sharing = op.heads() / layer.heads();
    for (int i = 0; i < selection.size(); i++) {
      PageSelection.Slice slice = selection.slice(i);
      if (slice.rows() == 1 && slice.heads() == sharing) {
        row.begin(step, op, NO_QUERIES, slice.firstRow());
        count(slice);
        Exactness wanted = step.inputs().exactness(step.inputs().sequence(slice.firstRow()));
        add(step.report().row(slice.firstRow()), wanted, layer, slice, failed[i]);
      }
    }
  }

  private void count(PageSelection.Slice slice) {
    fine = 0;
    coarse = 0;
    far = 0;
    means = 0;
    otherPages = 0;
    visible = 0;
    for (int e = 0; e < row.entries(); e++) {
      int seen = row.visible(e);
      int near = slice.fine()[e];
      int half = slice.coarse()[e];
      boolean mean = false;
      for (int h = 0; slice.hasFar() && h < slice.heads() && !mean; h++) {
        mean = slice.far()[h * slice.entries() + e] > 0;
      }
      int nearTokens = Integer.bitCount(near & seen);
      int halfTokens = Integer.bitCount(half & seen & ~near);
      fine += nearTokens;
      coarse += halfTokens;
      visible += Integer.bitCount(seen);
      if (mean) {
        means++;
        far += Integer.bitCount(seen) - nearTokens - halfTokens;
      } else if (seen != 0 && !row.open(e)) {
        otherPages++;
      }
    }
  }

  private void add(
      AttentionReport.Row to,
      Exactness wanted,
      KvSpec.Layer layer,
      PageSelection.Slice slice,
      boolean whole) {
    int valueSize = layer.valueSize();
    long token = (long) QuantizedKv.keyBytes(layer.keySize()) + QuantizedKv.valueBytes(valueSize);
    long meanBytes = (long) means * QuantizedKv.meanBytes(valueSize);
    long sketches = visible * QuantizedKv.sketchBytes(layer.keySize());
    // Of a mean that is not read, BUDGETED looks whether it is a number.
    long scales = (long) otherPages * Short.BYTES;
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
                  + otherPages * 3L * Short.BYTES;
        };
    to.addReading(
        bytes, visible * token, whole ? visible : fine, whole ? 0 : coarse, whole ? 0 : far);
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
