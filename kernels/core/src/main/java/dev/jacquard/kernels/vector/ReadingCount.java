package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import java.util.BitSet;

/** What the rows that have lists read, as docs/attention.md counts it. */
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

  /** Adds the reading of all slices of a layer to the step's report. */
  void add(
      Step step, Op.Attention op, KvSpec.Layer layer, PageSelection selection, boolean[] failed) {
    int sharing = op.heads() / layer.heads();
    for (int i = 0; i < selection.size(); i++) {
      PageSelection.Slice slice = selection.slice(i);
      // The slices of the heads that share a key/value head stand together.
      if (slice.firstHead() % sharing == 0) {
        for (int r = slice.firstRow(); r < slice.firstRow() + slice.rows(); r++) {
          row.begin(step, op, NO_QUERIES, r);
          count(selection, i, sharing / slice.heads());
          Exactness wanted = step.inputs().exactness(step.inputs().sequence(r));
          add(step.report().row(r), wanted, layer, slice, r - slice.firstRow(), failed[i]);
        }
      }
    }
  }

  private void count(PageSelection selection, int first, int slices) {
    fine = 0;
    coarse = 0;
    far = 0;
    means = 0;
    otherPages = 0;
    visible = 0;
    for (int e = 0; e < row.entries(); e++) {
      int seen = row.visible(e);
      int near = 0;
      int half = 0;
      boolean some = false;
      for (int i = first; i < first + slices; i++) {
        PageSelection.Slice slice = selection.slice(i);
        near |= slice.fine()[e];
        half |= slice.coarse()[e];
        some |= slice.hasFar();
      }
      int nearTokens = Integer.bitCount(near & seen);
      int halfTokens = Integer.bitCount(half & seen & ~near);
      fine += nearTokens;
      coarse += halfTokens;
      visible += Integer.bitCount(seen);
      // What is read neither way has a weight in the mean of its page.
      if (some && (seen & ~near & ~half) != 0) {
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
      int index,
      boolean whole) {
    int valueSize = layer.valueSize();
    long token = (long) QuantizedKv.keyBytes(layer.keySize()) + QuantizedKv.valueBytes(valueSize);
    long meanBytes = (long) means * QuantizedKv.meanBytes(valueSize);
    // In blocks of prompts only probes read sketches.
    boolean probe = BlockSelection.probe(index, slice.rows());
    long sketches = probe ? visible * QuantizedKv.sketchBytes(layer.keySize()) : 0;
    // Of a mean that is not read, BUDGETED looks whether it is a number.
    long scales = probe ? (long) otherPages * Short.BYTES : 0;
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
