package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.Arrays;

/**
 * Lists of {@link dev.jacquard.kernels.Exactness.Budgeted} for a prompt: for a block of rows and
 * one query head, whole pages by the sketch scores of some rows, the probes. A block and head is
 * one thread's work from beginning to end, probe after probe, so sums have one order.
 */
final class BlockSelection implements WorkerPool.Task {
  /** Rows of a block, which starts at a multiple of this position. */
  static final int ROWS = 64;

  /** Rows before this position read everything. */
  static final int FIRST_POSITION = 8192;

  private static final int PROBE_STRIDE = 4;
  private static final int NEAR = 1024;

  /** Probes that are scanned together. */
  private static final int TOGETHER = 4;

  private static final short NONE = -1;

  /** Buffers of a thread. */
  private static final class Scratch {
    final SelectionRow[] rows = new SelectionRow[TOGETHER];
    final SketchTables tables = new SketchTables();
    final SketchTables.Scratch building = new SketchTables.Scratch();
    final EntryScan scan = new EntryScan();
    final float[] weights = new float[SelectionRow.CHUNK_TOKENS];
    final char[] nothing = new char[SelectionRow.CHUNK_ENTRIES];
    short[] sums = {};
    float[] pages = {};
    double[] shares = {};
    double[] others = {};

    Scratch() {
      Arrays.setAll(rows, i -> new SelectionRow());
    }

    void reserve(int entries) {
      if (shares.length < entries) {
        shares = new double[2 * entries];
        others = new double[2 * entries];
        pages = new float[2 * entries];
        sums = new short[TOGETHER * 2 * entries * PAGE_TOKENS];
      }
    }

    int stride() {
      return sums.length / TOGETHER;
    }
  }

  private final SelectionRow first;
  private final Scratch[] scratch;
  private PageSelection.Slice[] slices = {};
  private int rows;
  private double coverage;

  /**
   * For any block.
   *
   * @param first row of the block; the caller sets it before each {@link #select}
   */
  BlockSelection(SelectionRow first, int threads) {
    this.first = first;
    scratch = new Scratch[threads];
    Arrays.setAll(scratch, i -> new Scratch());
  }

  /** Whether row {@code i} of a block of {@code rows} is a probe. */
  static boolean probe(int i, int rows) {
    return i % PROBE_STRIDE == 0 || i == rows - 1;
  }

  /** Adds slices for {@code count} consecutive rows, one for each query head. */
  void select(PageSelection selection, int count, double share, WorkerPool pool) {
    rows = count;
    coverage = share;
    if (slices.length < first.heads()) {
      slices = new PageSelection.Slice[first.heads()];
    }
    for (int h = 0; h < first.heads(); h++) {
      slices[h] = selection.add(first.row(), count, h, 1, first.view());
    }
    pool.run(first.heads(), 1, this);
  }

  @Override
  public void run(int from, int to, int thread) {
    Scratch s = scratch[thread];
    s.reserve(first.entries());
    for (int head = from; head < to; head++) {
      Arrays.fill(s.shares, 0, first.entries(), 0);
      int group = 0;
      for (int i = 0; i < rows; i++) {
        if (probe(i, rows)) {
          s.rows[group++].begin(first, i);
        }
        if (group == TOGETHER || i == rows - 1) {
          addShares(head, group, s);
          group = 0;
        }
      }
      keep(head, s);
    }
  }

  /** Adds the shares of the weight that pages hold for some probes. */
  private void addShares(int head, int probes, Scratch s) {
    int kvHead = head / first.groupHeads();
    int entries = first.entries();
    s.tables.reserve(TOGETHER, first.keySize());
    for (int i = 0; i < probes; i++) {
      s.tables.build(
          i,
          first.kv().basis(first.layer(), kvHead),
          first.query(),
          s.rows[i].queryAt(head),
          first.scale(),
          s.building);
    }
    s.scan.scan(
        first.kv(),
        first.layer(),
        kvHead,
        first.view(),
        0,
        entries,
        s.tables,
        0,
        probes,
        s.sums,
        0,
        s.stride());
    for (int i = 0; i < probes; i++) {
      double total = weigh(s.rows[i], i, s);
      for (int e = 0; e < entries; e++) {
        s.shares[e] += s.pages[e] / total;
      }
    }
  }

  /** Weights of the pages that a probe sees; returns their sum. */
  private double weigh(SelectionRow row, int probe, Scratch s) {
    int at = probe * s.stride();
    int entries = row.entries();
    for (int e = entries - 1; e >= 0 && row.visible(e) != 0xFFFF; e--) {
      hide(row.visible(e), s.sums, at + e * PAGE_TOKENS);
    }
    for (int e = 0; e < entries; e++) {
      if (row.view().length(e) < PAGE_TOKENS) {
        hide(row.visible(e), s.sums, at + e * PAGE_TOKENS);
      }
    }
    float step = s.tables.step(probe);
    float base = s.tables.base(probe);
    float largest =
        Math.fma((float) SelectionKernels.largest(s.sums, at, entries * PAGE_TOKENS), step, base);
    if (row.softCap() != 0) {
      s.weights[0] = largest;
      VectorMath.cap(s.weights, 0, 1, row.softCap());
      largest = s.weights[0];
    }
    for (int e = 0; e < entries; e += SelectionRow.CHUNK_ENTRIES) {
      int end = Math.min(entries, e + SelectionRow.CHUNK_ENTRIES);
      int count = (end - e) * PAGE_TOKENS;
      SelectionKernels.scores(s.sums, at + e * PAGE_TOKENS, count, step, base, s.weights);
      if (row.softCap() != 0) {
        VectorMath.cap(s.weights, 0, count, row.softCap());
      }
      SelectionKernels.hide(
          s.sums, at + e * PAGE_TOKENS, largest, s.nothing, 0, end - e, s.weights);
      VectorMath.exp(s.weights, 0, count);
      TokenKernels.sum16(s.weights, 0, end - e, s.pages, e);
    }
    double total = 0;
    for (int e = 0; e < entries; e++) {
      total += s.pages[e];
    }
    return total;
  }

  private static void hide(int visible, short[] sums, int at) {
    for (int t = 0; t < PAGE_TOKENS; t++) {
      if ((visible >> t & 1) == 0) {
        sums[at + t] = NONE;
      }
    }
  }

  /** Keeps the pages that have to be, and the heaviest until they hold the share. */
  private void keep(int head, Scratch s) {
    int kvHead = head / first.groupHeads();
    int count = 0;
    double kept = 0;
    double total = 0;
    for (int e = 0; e < first.entries(); e++) {
      total += s.shares[e];
      if (forced(e, kvHead)) {
        kept += s.shares[e];
      } else {
        s.others[count++] = s.shares[e];
      }
    }
    Arrays.sort(s.others, 0, count);
    double wanted = coverage * total;
    double lightest = Double.POSITIVE_INFINITY;
    while (count > 0 && !(kept >= wanted)) {
      lightest = s.others[--count];
      kept += lightest;
    }
    SelectionRow last = s.rows[0];
    last.begin(first, rows - 1);
    for (int e = 0; e < first.entries(); e++) {
      // A share that is no number keeps everything.
      if (forced(e, kvHead) || !(s.shares[e] < lightest)) {
        slices[head].fine()[e] = (char) last.visible(e);
      }
    }
  }

  /** The first page, those near the block and in it, pins, and pages that are not finite. */
  private boolean forced(int entry, int kvHead) {
    KvView view = first.view();
    int start = view.firstPosition(entry);
    return start < SelectionRow.FIRST
        || start + view.length(entry) > first.position() - NEAR
        || view.pinned(entry)
        || Float.isNaN(first.meanNumber(view.page(entry), kvHead, SelectionRow.SCALE));
  }
}
