package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.AttentionStage.BLOCK_PAGES;
import static dev.jacquard.kernels.vector.AttentionStage.SPLIT;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Attention of blocks of rows over the whole pages that a {@link PageSelection} names for one query
 * head, with the kernels of {@link AttentionStage}.
 *
 * <p>The listed pages stand side by side, wherever their positions are: 16 of them make a split,
 * for which scores, maxima, exponentials and sums of values are computed; a row's sums are scaled
 * down where a split brings a larger score. A tile of rows is one thread's work, and a row's bits
 * depend on its list only.
 */
final class BlockAttention implements Stage, WorkerPool.Task {
  /** Rows of a tile. */
  static final int ROWS = AttentionStage.tileQueries(1);

  private static final int SPLIT_PAGES = SPLIT / PAGE_TOKENS;

  private final Step step;
  private final Op.Attention op;
  private final PageSelection selection;
  private final float[] query;
  private final float[] out;
  private final AttentionWorkspace workspace;
  private final Workspace lists;
  private final int sharing;
  private final int keySize;
  private final int valueSize;
  private final Q8Blocks blocks;
  private final int valueStride;

  BlockAttention(
      Step step,
      Op.Attention op,
      KvSpec.Layer layer,
      PageSelection selection,
      float[] query,
      float[] out,
      AttentionWorkspace workspace,
      Workspace lists) {
    this.step = step;
    this.op = op;
    this.selection = selection;
    this.query = query;
    this.out = out;
    this.workspace = workspace;
    this.lists = lists;
    sharing = op.heads() / layer.heads();
    keySize = layer.keySize();
    valueSize = layer.valueSize();
    blocks = new Q8Blocks(step, op.layer(), layer);
    valueStride = blocks.valueStride();
  }

  /** What all such stages of an executable share; one of them runs at a time. */
  static final class Workspace {
    /** For each slice, the entries that it names. */
    private final List<KvView> listed = new ArrayList<>();

    /** For each tile, its slice, its first row, and how many rows it has. */
    private int[] tileSlice = new int[16];

    private int[] tileFirst = new int[16];
    private int[] tileRows = new int[16];
    private int tiles;

    /**
     * Lists the entries of a view that slice {@code i} names.
     *
     * @param last position of the slice's last row; a named entry must have all bits that it sees
     */
    private void list(int i, PageSelection.Slice slice, KvView view, int last) {
      while (listed.size() <= i) {
        listed.add(new KvView());
      }
      KvView kept = listed.get(i);
      kept.clear();
      for (int e = 0; e < slice.entries(); e++) {
        int named = slice.fine()[e];
        if (named == 0) {
          continue;
        }
        int seen = Math.clamp(last + 1L - view.firstPosition(e), 0, view.length(e));
        int whole = (1 << seen) - 1;
        if ((named & whole) != whole) {
          throw new IllegalStateException(
              "a list for several rows names single tokens of entry " + e + ", not whole pages");
        }
        if (seen > 0) {
          kept.add(view.page(e), view.firstPosition(e), view.length(e), false);
        }
      }
    }

    private void addTile(int slice, int first, int rows) {
      if (tiles == tileSlice.length) {
        tileSlice = Arrays.copyOf(tileSlice, 2 * tiles);
        tileFirst = Arrays.copyOf(tileFirst, 2 * tiles);
        tileRows = Arrays.copyOf(tileRows, 2 * tiles);
      }
      tileSlice[tiles] = slice;
      tileFirst[tiles] = first;
      tileRows[tiles++] = rows;
    }
  }

  @Override
  public void run(Step step) {
    StepInputs inputs = step.inputs();
    lists.tiles = 0;
    for (int i = 0; i < selection.size(); i++) {
      PageSelection.Slice slice = selection.slice(i);
      if (!isBlock(slice)) {
        continue;
      }
      int end = slice.firstRow() + slice.rows();
      lists.list(i, slice, view(slice.firstRow()), inputs.position(end - 1));
      for (int row = slice.firstRow(); row < end; row += ROWS) {
        lists.addTile(i, row, Math.min(ROWS, end - row));
      }
      if (slice.firstHead() % sharing == 0) {
        report(i);
      }
    }
    step.pool().run(lists.tiles, 1, this);
  }

  /** Whether a slice is no list for one row and all heads of a group, as ListAttention reads. */
  private boolean isBlock(PageSelection.Slice slice) {
    return slice.rows() > 1 || slice.heads() < sharing;
  }

  private KvView view(int row) {
    return step.inputs().view(step.inputs().sequence(row), step.kv().group(op.layer()));
  }

  /**
   * Counts what the rows of a block read of a key/value head.
   *
   * @param first the slice of its first query head; those of the others follow
   */
  private void report(int first) {
    PageSelection.Slice slice = selection.slice(first);
    int firstRow = slice.firstRow();
    int firstPosition = step.inputs().position(firstRow);
    KvView view = view(firstRow);
    long seen = 0;
    long fine = 0;
    int e = 0;
    for (; e < view.size() && view.firstPosition(e) + view.length(e) <= firstPosition; e++) {
      seen += view.length(e);
      fine += named(first, e) ? view.length(e) : 0;
    }
    long token = (long) QuantizedKv.keyBytes(keySize) + QuantizedKv.valueBytes(valueSize);
    for (int row = firstRow; row < firstRow + slice.rows(); row++) {
      long rowSeen = seen;
      long rowFine = fine;
      long closed = e;
      for (int i = e; i < view.size(); i++) {
        int position = step.inputs().position(row);
        int tokens = visible(view, i, position);
        closed += view.firstPosition(i) + view.length(i) <= position ? 1 : 0;
        rowSeen += tokens;
        rowFine += named(first, i) ? tokens : 0;
      }
      boolean probe = BlockSelection.probe(row - firstRow, slice.rows());
      // A probe also looks whether the means of closed pages are numbers.
      long sketches = probe ? rowSeen * QuantizedKv.sketchBytes(keySize) + closed * Short.BYTES : 0;
      long bytes = sketches + rowFine * token;
      step.report().row(row).addReading(bytes, rowSeen * token, rowFine, 0, 0);
    }
  }

  /** Whether a query head of a key/value head reads an entry. */
  private boolean named(int first, int entry) {
    int any = 0;
    for (int h = 0; h < sharing; h++) {
      any |= selection.slice(first + h).fine()[entry];
    }
    return any != 0;
  }

  /** Tokens of an entry that a row sees. */
  private static int visible(KvView view, int entry, int position) {
    return Math.clamp(position + 1L - view.firstPosition(entry), 0, view.length(entry));
  }

  @Override
  public void run(int from, int to, int thread) {
    for (int item = from; item < to; item++) {
      // The last rows see most: they go first.
      attend(lists.tiles - 1 - item, workspace.scratch(thread));
    }
  }

  private void attend(int tile, AttentionWorkspace.Scratch s) {
    int rows = lists.tileRows[tile];
    KvView list = lists.listed.get(lists.tileSlice[tile]);
    int head = selection.slice(lists.tileSlice[tile]).firstHead();
    int first = lists.tileFirst[tile];
    for (int r = 0; r < rows; r++) {
      int from = ((first + r) * op.heads() + head) * keySize;
      blocks.loadQuery(s, r, query, from, keySize, op.scale());
    }
    Arrays.fill(s.total, 0, maxima(rows), 0);
    Arrays.fill(s.total, maxima(rows), sums(rows), Float.NEGATIVE_INFINITY);
    Arrays.fill(s.total, sums(rows), sums(rows) + rows, 0);
    for (int entry = 0; entry < list.size(); entry += SPLIT_PAGES) {
      int end = Math.min(list.size(), entry + SPLIT_PAGES);
      score(list, entry, end, first, rows, head, s);
      weigh((end - entry) * PAGE_TOKENS, rows, s);
      add(list, entry, end, first, rows, head, s);
    }
    finish(first, rows, head, s.total);
  }

  private int maxima(int rows) {
    return rows * valueStride;
  }

  private int sums(int rows) {
    return maxima(rows) + rows;
  }

  /** Pages from {@code entry} on, four at most, of which every row sees all tokens. */
  private int wholePages(KvView list, int entry, int end, int firstRow) {
    int position = step.inputs().position(firstRow);
    int count = 0;
    while (count < BLOCK_PAGES
        && entry + count < end
        && visible(list, entry + count, position) == PAGE_TOKENS) {
      count++;
    }
    return count;
  }

  /** Scores of the pages of a split; −∞ for what a row does not see. */
  private void score(
      KvView list,
      int from,
      int end,
      int firstRow,
      int rows,
      int head,
      AttentionWorkspace.Scratch s) {
    for (int e = from; e < end; ) {
      int whole = wholePages(list, e, end, firstRow);
      int pages = Math.max(1, whole);
      int column = (e - from) * PAGE_TOKENS;
      for (int i = 0; i < pages; i++) {
        blocks.loadKeys(s, list.page(e + i), head / sharing, i);
      }
      blocks.score(s, pages, rows, s.scores, column, SPLIT);
      for (int r = 0; r < rows && op.softCap() != 0; r++) {
        VectorMath.cap(s.scores, r * SPLIT + column, pages * PAGE_TOKENS, op.softCap());
      }
      for (int r = 0; r < rows && whole == 0; r++) {
        int seen = visible(list, e, step.inputs().position(firstRow + r));
        int at = r * SPLIT + column;
        Arrays.fill(s.scores, at + seen, at + PAGE_TOKENS, Float.NEGATIVE_INFINITY);
      }
      e += pages;
    }
  }

  /** Turns scores into weights and scales the rows' sums to their new maxima. */
  private void weigh(int columns, int rows, AttentionWorkspace.Scratch s) {
    for (int r = 0; r < rows; r++) {
      int from = r * SPLIT;
      float old = s.total[maxima(rows) + r];
      float largest = Math.max(old, AttentionKernels.maximum(s.scores, from, from + columns));
      if (largest != old) {
        // From −∞ it is 0, and NaN stays NaN.
        float keep = VectorMath.exp(old - largest);
        for (int i = r * valueStride; i < (r + 1) * valueStride; i++) {
          s.total[i] *= keep;
        }
        s.total[sums(rows) + r] *= keep;
        s.total[maxima(rows) + r] = largest;
      }
      s.total[sums(rows) + r] +=
          AttentionKernels.exponentials(s.scores, from, from + columns, largest, s.chains);
    }
  }

  /** Adds the values of the pages of a split. No row is multiplied with what it does not see. */
  private void add(
      KvView list,
      int from,
      int end,
      int firstRow,
      int rows,
      int head,
      AttentionWorkspace.Scratch s) {
    for (int e = from; e < end; ) {
      int whole = wholePages(list, e, end, firstRow);
      int pages = Math.max(1, whole);
      int column = (e - from) * PAGE_TOKENS;
      int last = step.inputs().position(firstRow + rows - 1);
      for (int i = 0; i < pages; i++) {
        blocks.loadValues(s, list.page(e + i), head / sharing, i, visible(list, e + i, last));
      }
      if (whole > 0) {
        blocks.add(s, 0, pages * PAGE_TOKENS, s.scores, column, rows, s.total, 0);
      } else {
        for (int r = 0; r < rows; r++) {
          int seen = visible(list, e, step.inputs().position(firstRow + r));
          blocks.add(s, 0, seen, s.scores, r * SPLIT + column, 1, s.total, r * valueStride);
        }
      }
      e += pages;
    }
  }

  /** Divides by the sums of weights and writes the rows' outputs. */
  private void finish(int first, int rows, int head, float[] total) {
    for (int r = 0; r < rows; r++) {
      float factor = 1 / total[sums(rows) + r];
      int to = ((first + r) * op.heads() + head) * valueSize;
      for (int d = 0; d < valueSize; d++) {
        out[to + d] = total[r * valueStride + d] * factor;
      }
    }
  }
}
