package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.SelectionRow.CHUNK_ENTRIES;
import static dev.jacquard.kernels.vector.SelectionRow.CHUNK_TOKENS;

import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Lists of {@link dev.jacquard.kernels.Exactness.Budgeted} for a prompt: for a block of rows and
 * one query head, whole pages by the sketch scores of some rows, the probes. All blocks of a layer
 * are one loop; a block and head is one thread's work from beginning to end, probe after probe, so
 * sums have one order.
 *
 * <p>Four probes pass over the sketches together. Scores of a chunk of entries become weights
 * relative to the largest of the chunk while they are in the first-level cache; chunks are brought
 * to a common scale when the probe has seen all of them.
 */
final class BlockSelection implements WorkerPool.Task {
  /** Rows of a block, which starts at a multiple of this position. */
  static final int ROWS = 64;

  /** Rows before this position read everything. */
  static final int FIRST_POSITION = 8192;

  private static final int NEAR = 1024;

  private static final int PROBE_STRIDE = 2;

  /** Probes that are scanned together. */
  private static final int TOGETHER = 4;

  private static final short NONE = -1;

  /** Rows that have one list for each query head. */
  private static final class Block {
    final SelectionRow first = new SelectionRow();
    int rows;
    PageSelection.Slice[] slices = {};

    /** Entries that some row sees. */
    int entries() {
      KvView view = first.view();
      int end = first.position() + rows;
      int count = view.size();
      while (view.firstPosition(count - 1) >= end) {
        count--;
      }
      return count;
    }
  }

  /** Buffers of a thread. */
  private static final class Scratch {
    final SelectionRow[] rows = new SelectionRow[TOGETHER];
    final SketchTables tables = new SketchTables();
    final SketchTables.Scratch building = new SketchTables.Scratch();
    final EntryScan scan = new EntryScan();
    final short[] sums = new short[TOGETHER * CHUNK_TOKENS];
    final float[] weights = new float[CHUNK_TOKENS];
    final float[] chains = new float[VectorMath.EXP_CHAINS];

    /** Queries of the probes, one behind the other. */
    float[] queries = {};

    /** Weights of pages relative to the largest of their chunk, probe after probe. */
    float[] pages = {};

    /** For each probe and chunk, what weights are relative to, and their sum. */
    float[] largest = {};

    float[] total = {};
    double[] shares = {};
    double[] others = {};
    boolean[] forced = {};

    /** Entries of which some row does not see 16 tokens, ascending. */
    int[] partial = {};

    int partials;

    Scratch() {
      Arrays.setAll(rows, i -> new SelectionRow());
    }

    void reserve(int entries) {
      if (shares.length < entries) {
        int room = 2 * entries;
        shares = new double[room];
        others = new double[room];
        forced = new boolean[room];
        partial = new int[room];
        pages = new float[TOGETHER * room];
        largest = new float[TOGETHER * (room / CHUNK_ENTRIES + 1)];
        total = new float[largest.length];
      }
    }

    int pageStride() {
      return shares.length;
    }

    int chunkStride() {
      return largest.length / TOGETHER;
    }
  }

  private final List<Block> blocks = new ArrayList<>();
  private final Scratch[] scratch;
  private int count;
  private double coverage;

  BlockSelection(int threads) {
    scratch = new Scratch[threads];
    Arrays.setAll(scratch, i -> new Scratch());
  }

  /** Whether row {@code i} of a block of {@code rows} is a probe; the last one is. */
  static boolean probe(int i, int rows) {
    return (rows - 1 - i) % PROBE_STRIDE == 0;
  }

  /** Forgets all blocks. */
  void begin() {
    count = 0;
  }

  /** Adds slices for {@code rows} consecutive rows of a step, one for each query head. */
  void add(Step step, Op.SelectPages op, float[] query, PageSelection out, int row, int rows) {
    if (count == blocks.size()) {
      blocks.add(new Block());
    }
    Block block = blocks.get(count++);
    block.first.begin(step, op, query, row);
    block.rows = rows;
    if (block.slices.length < op.heads()) {
      block.slices = new PageSelection.Slice[op.heads()];
    }
    for (int h = 0; h < op.heads(); h++) {
      block.slices[h] = out.add(row, rows, h, 1, block.first.view());
    }
  }

  /** Fills the slices of all blocks. */
  void select(double share, WorkerPool pool) {
    coverage = share;
    if (count > 0) {
      pool.run(count * blocks.getFirst().first.heads(), 1, this);
    }
  }

  @Override
  public void run(int from, int to, int thread) {
    for (int item = from; item < to; item++) {
      Block block = blocks.get(item / blocks.getFirst().first.heads());
      select(block, item % block.first.heads(), scratch[thread]);
    }
  }

  private void select(Block block, int head, Scratch s) {
    int entries = block.entries();
    s.reserve(entries);
    findPartial(block, entries, s);
    Arrays.fill(s.shares, 0, entries, 0);
    int probes = 0;
    for (int row = 0; row < block.rows; row++) {
      if (probe(row, block.rows)) {
        s.rows[probes++].begin(block.first, row);
      }
      if (probes == TOGETHER || (probes > 0 && row == block.rows - 1)) {
        addShares(block, head, probes, entries, s);
        probes = 0;
      }
    }
    keep(block, head, entries, s);
  }

  private static void findPartial(Block block, int entries, Scratch s) {
    KvView view = block.first.view();
    int end = block.first.position() + 1;
    s.partials = 0;
    for (int e = 0; e < entries; e++) {
      if (view.length(e) < PAGE_TOKENS || view.firstPosition(e) + PAGE_TOKENS > end) {
        s.partial[s.partials++] = e;
      }
    }
  }

  /** Adds the shares of the weight that pages hold for some probes. */
  private static void addShares(Block block, int head, int probes, int entries, Scratch s) {
    SelectionRow first = block.first;
    int kvHead = head / first.groupHeads();
    int size = first.keySize();
    if (s.queries.length < TOGETHER * size) {
      s.queries = new float[TOGETHER * size];
    }
    for (int i = 0; i < probes; i++) {
      System.arraycopy(first.query(), s.rows[i].queryAt(head), s.queries, i * size, size);
    }
    s.tables.reserve(TOGETHER, size);
    s.tables.build(
        probes, first.kv().basis(first.layer(), kvHead), s.queries, first.scale(), s.building);
    int nextPartial = 0;
    for (int e = 0; e < entries; e += CHUNK_ENTRIES) {
      int end = Math.min(entries, e + CHUNK_ENTRIES);
      s.scan.scan(
          first.kv(),
          first.layer(),
          kvHead,
          first.view(),
          e,
          end,
          s.tables,
          0,
          probes,
          s.sums,
          -e * PAGE_TOKENS,
          CHUNK_TOKENS);
      int firstPartial = nextPartial;
      while (nextPartial < s.partials && s.partial[nextPartial] < end) {
        nextPartial++;
      }
      for (int i = 0; i < probes; i++) {
        weigh(i, e, end, firstPartial, nextPartial, s);
      }
    }
    for (int i = 0; i < probes; i++) {
      addShares(i, entries, s);
    }
  }

  /** Weights of a chunk's pages for a probe, relative to the largest of the chunk. */
  private static void weigh(
      int i, int first, int end, int firstPartial, int endPartial, Scratch s) {
    SelectionRow row = s.rows[i];
    int at = i * CHUNK_TOKENS;
    int tokens = (end - first) * PAGE_TOKENS;
    int chunk = i * s.chunkStride() + first / CHUNK_ENTRIES;
    int pagesAt = i * s.pageStride() + first;
    for (int p = firstPartial; p < endPartial; p++) {
      hide(row.visible(s.partial[p]), s.sums, at + (s.partial[p] - first) * PAGE_TOKENS);
    }
    short most = SelectionKernels.largest(s.sums, at, tokens);
    float step = s.tables.step(i);
    float base = s.tables.base(i);
    if (most < 0 && !Float.isNaN(base)) {
      s.largest[chunk] = Float.NEGATIVE_INFINITY;
      s.total[chunk] = 0;
      Arrays.fill(s.pages, pagesAt, pagesAt + end - first, 0);
      return;
    }
    SelectionKernels.scores(s.sums, at, tokens, step, base, s.weights);
    s.largest[chunk] = cap(Math.fma((float) most, step, base), row.softCap(), s.chains);
    if (row.softCap() != 0) {
      VectorMath.cap(s.weights, 0, tokens, row.softCap());
    }
    VectorMath.expAndSum(s.weights, 0, tokens, s.largest[chunk], s.chains);
    s.total[chunk] = VectorMath.pairwiseSum(s.chains, VectorMath.EXP_CHAINS);
    for (int p = firstPartial; p < endPartial; p++) {
      clear(row.visible(s.partial[p]), s.weights, (s.partial[p] - first) * PAGE_TOKENS);
    }
    TokenKernels.sum16(s.weights, 0, end - first, s.pages, pagesAt);
    if (endPartial > firstPartial) {
      float total = 0;
      for (int e = pagesAt; e < pagesAt + end - first; e++) {
        total += s.pages[e];
      }
      s.total[chunk] = total;
    }
  }

  private static float cap(float score, float limit, float[] buffer) {
    if (limit == 0) {
      return score;
    }
    buffer[0] = score;
    VectorMath.cap(buffer, 0, 1, limit);
    return buffer[0];
  }

  /** Gives tokens that a row does not see a sum below all others. */
  private static void hide(int visible, short[] sums, int at) {
    for (int t = 0; t < PAGE_TOKENS; t++) {
      if ((visible >> t & 1) == 0) {
        sums[at + t] = NONE;
      }
    }
  }

  private static void clear(int visible, float[] weights, int at) {
    for (int t = 0; t < PAGE_TOKENS; t++) {
      if ((visible >> t & 1) == 0) {
        weights[at + t] = 0;
      }
    }
  }

  /** Adds a probe's page weights, divided by their sum. */
  private static void addShares(int i, int entries, Scratch s) {
    int chunks = (entries + CHUNK_ENTRIES - 1) / CHUNK_ENTRIES;
    int chunk = i * s.chunkStride();
    float largest = Float.NEGATIVE_INFINITY;
    for (int c = chunk; c < chunk + chunks; c++) {
      largest = Math.max(largest, s.largest[c]);
    }
    double total = 0;
    for (int c = chunk; c < chunk + chunks; c++) {
      total += s.total[c] * Math.exp(s.largest[c] - (double) largest);
    }
    for (int c = 0; c < chunks; c++) {
      double factor = Math.exp(s.largest[chunk + c] - (double) largest) / total;
      int end = Math.min(entries, (c + 1) * CHUNK_ENTRIES);
      int at = i * s.pageStride();
      for (int e = c * CHUNK_ENTRIES; e < end; e++) {
        s.shares[e] += s.pages[at + e] * factor;
      }
    }
  }

  /** Keeps the pages that have to be, and the heaviest until they hold the share. */
  private void keep(Block block, int head, int entries, Scratch s) {
    int kvHead = head / block.first.groupHeads();
    int candidates = 0;
    double kept = 0;
    double total = 0;
    for (int e = 0; e < entries; e++) {
      total += s.shares[e];
      s.forced[e] = forced(block.first, e, kvHead);
      if (s.forced[e]) {
        kept += s.shares[e];
      } else {
        s.others[candidates++] = s.shares[e];
      }
    }
    double lightest = lightest(s.others, candidates, kept, coverage * total);
    SelectionRow last = s.rows[0];
    last.begin(block.first, block.rows - 1);
    char[] fine = block.slices[head].fine();
    for (int e = 0; e < entries; e++) {
      // A share that is no number keeps everything.
      if (s.forced[e] || !(s.shares[e] < lightest)) {
        fine[e] = (char) last.visible(e);
      }
    }
  }

  private static double lightest(double[] others, int count, double kept, double wanted) {
    Arrays.sort(others, 0, count);
    double sum = kept;
    double lightest = Double.POSITIVE_INFINITY;
    for (int i = count - 1; i >= 0 && !(sum >= wanted); i--) {
      lightest = others[i];
      sum += lightest;
    }
    return lightest;
  }

  /** The first page, those near the block and in it, pins, and pages that are not finite. */
  private static boolean forced(SelectionRow first, int entry, int kvHead) {
    KvView view = first.view();
    int start = view.firstPosition(entry);
    return start < SelectionRow.FIRST
        || start + view.length(entry) > first.position() - NEAR
        || view.pinned(entry)
        || Float.isNaN(first.meanNumber(view.page(entry), kvHead, SelectionRow.SCALE));
  }
}
