package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.StepInputs;
import java.util.BitSet;

/** What the attention of a layer read, as docs/attention.md counts it. */
final class ReadingCount {
  private final Op.Attention op;
  private final StepInputs inputs;
  private final ReferenceKvStorage kv;
  private final KvSpec.Layer layer;
  private final PageSelection pages;
  private final BitSet escalated;
  private final AttentionReport report;

  /**
   * Counts after {@link ScalarAttention#run}.
   *
   * @param pages what was chosen; empty if everything was read
   * @param escalated the slices whose heads read everything after all
   */
  ReadingCount(
      Op.Attention op,
      StepInputs inputs,
      ReferenceKvStorage kv,
      PageSelection pages,
      BitSet escalated,
      AttentionReport report) {
    this.op = op;
    this.inputs = inputs;
    this.kv = kv;
    this.layer = kv.layer(op.layer());
    this.pages = pages;
    this.escalated = escalated;
    this.report = report;
  }

  /** Adds what every row read. */
  void add() {
    int shared = op.heads() / layer.heads();
    BitSet covered = new BitSet(inputs.rows() * layer.heads());
    for (int s = 0; s < pages.size(); s++) {
      PageSelection.Slice slice = pages.slice(s);
      // The slices of the heads that share a key/value head stand together.
      if (slice.firstHead() % shared == 0) {
        for (int row = slice.firstRow(); row < slice.firstRow() + slice.rows(); row++) {
          covered.set(row * layer.heads() + slice.firstHead() / shared);
          addSlices(row, s, shared / slice.heads());
        }
      }
    }
    for (int row = 0; row < inputs.rows(); row++) {
      long tokens = ScalarAttention.visible(op, inputs, kv, row).tokens();
      for (int head = 0; head < layer.heads(); head++) {
        if (!covered.get(row * layer.heads() + head)) {
          report.row(row).addReading(tokens * wholeBytes(), tokens * wholeBytes(), tokens, 0, 0);
        }
      }
    }
  }

  /** Bytes of a token that is read whole, for one head. */
  private long wholeBytes() {
    return kv.format().readBytes(layer) / layer.heads();
  }

  /** Adds one row's reading of a key/value head, by {@code count} slices from {@code first} on. */
  private void addSlices(int row, int first, int count) {
    Visible visible = ScalarAttention.visible(op, inputs, kv, row);
    PageSelection.Slice slice = pages.slice(first);
    Tally tally = new Tally();
    for (int e = 0; e < visible.entries(); e++) {
      count(visible, e, first, count, tally);
    }
    long tokens = visible.tokens();
    long bytes =
        switch (inputs.exactness(inputs.sequence(row))) {
          case Exactness.Dense _ -> throw new AssertionError("a slice of a dense row");
          case Exactness.Certified _ -> certifiedBytes(tokens, tally);
          case Exactness.Budgeted _ ->
              sketchBytes(row, slice, tokens)
                  + scaleBytes(row, slice, tally)
                  + summaryBytes(tally)
                  + tally.fine * wholeBytes();
          case Exactness.Verified _ ->
              sketchBytes(row, slice, tokens)
                  + summaryBytes(tally)
                  + (escalated.get(first) ? tokens : tally.fine + samples(slice)) * wholeBytes();
        };
    boolean whole = escalated.get(first);
    AttentionReport.Row to = report.row(row);
    to.addReading(
        bytes,
        tokens * wholeBytes(),
        whole ? tokens : tally.fine,
        whole ? 0 : tally.coarse,
        whole ? 0 : tally.far);
    if (!(inputs.exactness(inputs.sequence(row)) instanceof Exactness.Budgeted)) {
      for (int h = 0; h < slice.heads(); h++) {
        to.addBound(slice.bound()[h]);
        if (whole) {
          to.addEscalation();
        }
      }
    }
  }

  /** Tokens in the three places, pages whose mean is read, and closed pages whose is not. */
  private static final class Tally {
    long fine;
    long coarse;
    long far;
    long means;
    long otherPages;
  }

  private void count(Visible visible, int entry, int first, int count, Tally tally) {
    int fine = 0;
    int coarse = 0;
    boolean mean = false;
    for (int s = first; s < first + count; s++) {
      PageSelection.Slice slice = pages.slice(s);
      fine |= slice.fine()[entry];
      coarse |= slice.coarse()[entry];
      for (int h = 0; slice.hasFar() && h < slice.heads(); h++) {
        mean |= slice.far()[h * slice.entries() + entry] > 0;
      }
    }
    int seen = (1 << Math.max(0, visible.end(entry))) - 1;
    int near = Integer.bitCount(fine & seen);
    int half = Integer.bitCount(coarse & seen & ~fine);
    tally.fine += near;
    tally.coarse += half;
    if (mean) {
      tally.means++;
      tally.far += visible.tokens(entry) - near - half;
    } else if (visible.tokens(entry) > 0 && !visible.open(entry)) {
      tally.otherPages++;
    }
  }

  private long summaryBytes(Tally tally) {
    return tally.means * QuantizedKv.meanBytes(layer.valueSize());
  }

  /** In blocks of prompts only probes read sketches. */
  private long sketchBytes(int row, PageSelection.Slice slice, long tokens) {
    return BlockSelector.probe(row - slice.firstRow(), slice.rows())
        ? tokens * QuantizedKv.sketchBytes(layer.keySize())
        : 0;
  }

  /** Of a mean that is not read, BUDGETED looks whether it is a number, where it reads sketches. */
  private static long scaleBytes(int row, PageSelection.Slice slice, Tally tally) {
    return BlockSelector.probe(row - slice.firstRow(), slice.rows())
        ? tally.otherPages * Short.BYTES
        : 0;
  }

  private long certifiedBytes(long tokens, Tally tally) {
    return tokens * QuantizedKv.keyBytes(layer.keySize())
        + tally.fine * (QuantizedKv.valueBytes(layer.valueSize()) + Short.BYTES)
        + tally.coarse * QuantizedKv.coarseValueBytes(layer.valueSize())
        + summaryBytes(tally)
        + tally.otherPages * 3 * Short.BYTES;
  }

  /** Distinct samples of all heads. */
  private static long samples(PageSelection.Slice slice) {
    BitSet distinct = new BitSet();
    for (int i = 0; i < slice.heads() * slice.samples(); i++) {
      distinct.set(slice.sampleToken()[i]);
    }
    return distinct.cardinality();
  }
}
