package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.Arrays;

/**
 * Softmax attention over paged keys and values.
 *
 * <p>Positions are cut into splits of {@link #SPLIT}. Within a split, scores, maximum, exponentials
 * and the weighted sum of values are computed in a fixed order; splits are then merged in ascending
 * order by their maxima, as in online softmax (Milakov and Gimelshein 2018, arXiv 1805.02867; Dao
 * et al. 2022, arXiv 2205.14135). So a row's bits depend on what it sees only, and whether one
 * thread takes a row through all splits or several share them is a matter of speed.
 *
 * <p>Work is divided into tiles: consecutive rows of a sequence, times the query heads that read
 * one key/value head. Each page is expanded to floats once for all queries of a tile.
 */
final class AttentionStage implements Stage, WorkerPool.Task {
  /** Positions of a split: a multiple of a page. */
  static final int SPLIT = 256;

  /** Pages that are taken together where they are full and consecutive. */
  static final int BLOCK_PAGES = 4;

  /** Queries of a tile (rows times heads of a group), more or less. */
  private static final int TILE_QUERIES = 32;

  /** Multiply-adds below which waking other threads takes longer than the work. */
  private static final long WORTH_SHARING = 1 << 15;

  /** Chunks for each thread from which no split needs to be shared. */
  private static final int TILES_PER_THREAD = 4;

  /** Floats of parts, 32 MiB, beyond which each thread goes through all splits of its tiles. */
  private static final long MOST_PARTS = 1 << 23;

  private final Step step;
  private final Op.Attention op;
  private final PageSelection selection;
  private final KvSpec.Layer layer;
  private final float[] query;
  private final float[] out;
  private final AttentionWorkspace workspace;

  /** Query heads that share a key/value head, all of them in a tile. */
  private final int groupHeads;

  private final int headGroups;
  private final int keySize;
  private final int valueSize;
  private final int rowsPerTile;
  private final AttentionBlocks floatBlocks;
  private final AttentionBlocks q8Blocks;
  private AttentionBlocks blocks;
  private int valueStride;
  private int tiles;
  private int partSize;
  private boolean sharesSplits;

  /**
   * A stage for some of the rows.
   *
   * @param selection the stage computes the rows that no slice covers
   */
  AttentionStage(
      Step step,
      Op.Attention op,
      KvSpec.Layer layer,
      PageSelection selection,
      float[] query,
      float[] out,
      AttentionWorkspace workspace) {
    this.step = step;
    this.op = op;
    this.selection = selection;
    this.layer = layer;
    this.query = query;
    this.out = out;
    this.workspace = workspace;
    groupHeads = op.heads() / layer.heads();
    headGroups = op.heads() / groupHeads;
    keySize = layer.keySize();
    valueSize = layer.valueSize();
    rowsPerTile = rowsPerTile(groupHeads);
    floatBlocks = new FloatBlocks(step, op.layer(), layer);
    q8Blocks = new Q8Blocks(step, op.layer(), layer);
    blocks = floatBlocks;
  }

  private static int rowsPerTile(int groupHeads) {
    return Math.max(1, TILE_QUERIES / groupHeads);
  }

  /** Queries of a full tile. */
  static int tileQueries(int groupHeads) {
    return rowsPerTile(groupHeads) * groupHeads;
  }

  @Override
  public void run(Step step) {
    StepInputs inputs = step.inputs();
    blocks =
        switch (step.kv()) {
          case VectorKvStorage _ -> floatBlocks;
          case Q8KvStorage _ -> q8Blocks;
        };
    valueStride = blocks.valueStride();
    planTiles(inputs);
    report(inputs);
    int splits = 0;
    int rows = 0;
    long work = 0;
    for (int tile = 0; tile < tiles; tile++) {
      splits += splits(inputs, tile);
      rows = Math.max(rows, workspace.tileRows[tile]);
      work += (long) visible(inputs, tile) * workspace.tileRows[tile];
    }
    work *= (long) op.heads() * (keySize + valueSize);
    WorkerPool pool = step.pool();
    boolean alone = pool.threads() == 1 || work < WORTH_SHARING;
    partSize = rows * groupHeads * (valueStride + 2);
    sharesSplits =
        !alone
            && splits > tiles
            && tiles * headGroups < TILES_PER_THREAD * pool.threads()
            && (long) splits * headGroups * partSize <= MOST_PARTS;
    int items = (sharesSplits ? splits : tiles) * headGroups;
    if (sharesSplits) {
      workspace.ensureParts(items * partSize, tiles * headGroups);
      for (int tile = 0; tile < tiles; tile++) {
        for (int head = 0; head < headGroups; head++) {
          workspace.unfinished.set(tile * headGroups + head, splits(inputs, tile));
        }
      }
    }
    if (alone) {
      run(0, items, 0);
    } else {
      pool.run(items, 1, this);
    }
  }

  private void planTiles(StepInputs inputs) {
    workspace.ensureTiles(inputs.rows());
    tiles = 0;
    workspace.markListed(selection, inputs.rows());
    int row = 0;
    while (row < inputs.rows()) {
      int end = row;
      while (end < inputs.rows()
          && !workspace.listed[end]
          && inputs.sequence(end) == inputs.sequence(row)) {
        end++;
      }
      addTiles(row, end, 0);
      row = Math.max(end, row + 1);
    }
    planFailed();
  }

  /** Rows of which some slices, one for each key/value head, have to read everything after all. */
  private void planFailed() {
    for (int i = 0; i < selection.size(); i++) {
      if (selection.slice(i).firstHead() == 0 && anyFailed(i)) {
        int row = selection.slice(i).firstRow();
        addTiles(row, row + 1, i);
        workspace.onlyFailed[tiles - 1] = true;
      }
    }
  }

  private boolean anyFailed(int first) {
    for (int i = first;
        i < selection.size() && selection.slice(i).firstRow() == selection.slice(first).firstRow();
        i++) {
      if (workspace.failed[i]) {
        return true;
      }
    }
    return false;
  }

  /** Whether a tile's group of heads was computed by its list already. */
  private boolean isDone(int tile, int head) {
    return workspace.onlyFailed[tile] && !workspace.failed[workspace.tileSlice[tile] + head];
  }

  private void addTiles(int first, int end, int slice) {
    for (int row = first; row < end; row += rowsPerTile) {
      workspace.tileFirst[tiles] = row;
      workspace.tileRows[tiles] = Math.min(rowsPerTile, end - row);
      workspace.tileSlice[tiles] = slice;
      workspace.onlyFailed[tiles] = false;
      tiles++;
    }
  }

  private KvView view(StepInputs inputs, int row) {
    return inputs.view(inputs.sequence(row), step.kv().group(op.layer()));
  }

  /** Counts what the rows of all tiles read: everything that they see. */
  private void report(StepInputs inputs) {
    long tokenBytes = step.kv().format().readBytes(layer);
    for (int tile = 0; tile < tiles && !workspace.onlyFailed[tile]; tile++) {
      int first = workspace.tileFirst[tile];
      KvView view = inputs.view(inputs.sequence(first), step.kv().group(op.layer()));
      for (int row = first; row < first + workspace.tileRows[tile]; row++) {
        long tokens = visibleTokens(view, inputs.position(row));
        long bytes = tokens * tokenBytes;
        step.report().row(row).addReading(bytes, bytes, tokens * layer.heads(), 0, 0);
      }
    }
  }

  private long visibleTokens(KvView view, int position) {
    int low = firstVisible(position);
    long tokens = 0;
    for (int i = firstEntry(view, low); i < view.size() && view.firstPosition(i) <= position; i++) {
      int first = view.firstPosition(i);
      tokens += Math.min(first + view.length(i), position + 1) - Math.max(first, low);
    }
    return tokens;
  }

  /** First position that some row of a tile may see. */
  private int firstVisible(StepInputs inputs, int tile) {
    return firstVisible(inputs.position(workspace.tileFirst[tile]));
  }

  private int firstVisible(int position) {
    return op.window() == 0 ? 0 : Math.max(0, position - op.window() + 1);
  }

  private int lastPosition(StepInputs inputs, int tile) {
    return inputs.position(workspace.tileFirst[tile] + workspace.tileRows[tile] - 1);
  }

  private int visible(StepInputs inputs, int tile) {
    return lastPosition(inputs, tile) + 1 - firstVisible(inputs, tile);
  }

  private int splits(StepInputs inputs, int tile) {
    return lastPosition(inputs, tile) / SPLIT - firstVisible(inputs, tile) / SPLIT + 1;
  }

  @Override
  public void run(int from, int to, int thread) {
    for (int item = from; item < to; item++) {
      if (sharesSplits) {
        runSplit(item, thread);
      } else {
        // The last rows see most: they go first.
        runTile(tiles - 1 - item / headGroups, item % headGroups, thread);
      }
    }
  }

  private void runTile(int tile, int head, int thread) {
    if (isDone(tile, head)) {
      return;
    }
    StepInputs inputs = step.inputs();
    AttentionWorkspace.Scratch scratch = workspace.scratch(thread);
    loadQueries(tile, head, scratch);
    int queries = workspace.tileRows[tile] * groupHeads;
    clear(scratch.total, queries);
    int first = firstVisible(inputs, tile) / SPLIT;
    for (int i = 0; i < splits(inputs, tile); i++) {
      attend(tile, head, first + i, scratch, scratch.part, 0);
      merge(scratch.total, scratch.part, 0, queries);
    }
    finish(tile, head, scratch.total);
  }

  private void runSplit(int item, int thread) {
    StepInputs inputs = step.inputs();
    AttentionWorkspace.Scratch scratch = workspace.scratch(thread);
    int tile = 0;
    int firstItem = 0;
    while (item >= firstItem + splits(inputs, tile) * headGroups) {
      firstItem += splits(inputs, tile) * headGroups;
      tile++;
    }
    int splits = splits(inputs, tile);
    int head = (item - firstItem) / splits;
    int split = (item - firstItem) % splits;
    if (isDone(tile, head)) {
      return;
    }
    loadQueries(tile, head, scratch);
    attend(
        tile,
        head,
        firstVisible(inputs, tile) / SPLIT + split,
        scratch,
        workspace.parts,
        item * partSize);
    if (workspace.unfinished.decrementAndGet(tile * headGroups + head) == 0) {
      int queries = workspace.tileRows[tile] * groupHeads;
      clear(scratch.total, queries);
      for (int i = 0; i < splits; i++) {
        merge(scratch.total, workspace.parts, (item - split + i) * partSize, queries);
      }
      finish(tile, head, scratch.total);
    }
  }

  /** Queries of a tile, row by row, times the score's scale. */
  private void loadQueries(int tile, int head, AttentionWorkspace.Scratch scratch) {
    int rows = workspace.tileRows[tile];
    int width = op.heads() * keySize;
    for (int r = 0; r < rows; r++) {
      int row = (workspace.tileFirst[tile] + r) * width + head * groupHeads * keySize;
      for (int h = 0; h < groupHeads; h++) {
        blocks.loadQuery(
            scratch, r * groupHeads + h, query, row + h * keySize, keySize, op.scale());
      }
    }
  }

  /**
   * One split of a tile: sums of values, then maxima, then sums of exponentials, to {@code part[at
   * …]}. A query that sees nothing gets the maximum −∞.
   */
  private void attend(
      int tile, int head, int split, AttentionWorkspace.Scratch scratch, float[] part, int at) {
    StepInputs inputs = step.inputs();
    int firstRow = workspace.tileFirst[tile];
    int rows = workspace.tileRows[tile];
    int queries = rows * groupHeads;
    int start = split * SPLIT;
    int low = Math.max(start, firstVisible(inputs, tile));
    int high = Math.min(start + SPLIT, lastPosition(inputs, tile) + 1);
    int base = (low - start) / PAGE_TOKENS * PAGE_TOKENS;
    int end = (high - start + PAGE_TOKENS - 1) / PAGE_TOKENS * PAGE_TOKENS;
    KvView view = view(inputs, firstRow);
    int firstEntry = firstEntry(view, low);
    float[] scores = scratch.scores;
    for (int q = 0; q < queries; q++) {
      Arrays.fill(scores, q * SPLIT + base, q * SPLIT + end, Float.NEGATIVE_INFINITY);
    }
    for (int i = firstEntry; i < view.size() && view.firstPosition(i) < high; ) {
      int pages = blockPages(view, i, low, high);
      score(view, i, pages, head, low, high, start, queries, scratch);
      i += pages;
    }
    for (int r = 0; r < rows; r++) {
      int position = inputs.position(firstRow + r);
      int rowLow = Math.clamp(firstVisible(position) - start, base, end);
      int rowHigh = Math.clamp(position + 1 - start, base, end);
      for (int q = r * groupHeads; q < (r + 1) * groupHeads; q++) {
        Arrays.fill(scores, q * SPLIT + base, q * SPLIT + rowLow, Float.NEGATIVE_INFINITY);
        Arrays.fill(scores, q * SPLIT + rowHigh, q * SPLIT + end, Float.NEGATIVE_INFINITY);
        part[maxima(at, queries) + q] =
            AttentionKernels.maximum(scores, q * SPLIT + base, q * SPLIT + end);
        part[sums(at, queries) + q] =
            AttentionKernels.exponentials(
                scores,
                q * SPLIT + base,
                q * SPLIT + end,
                part[maxima(at, queries) + q],
                scratch.chains);
      }
    }
    Arrays.fill(part, at, at + queries * valueStride, 0);
    for (int i = firstEntry; i < view.size() && view.firstPosition(i) < high; ) {
      int pages = blockPages(view, i, low, high);
      addValues(view, i, pages, head, low, high, start, firstRow, rows, scratch, part, at);
      i += pages;
    }
  }

  /** {@link #BLOCK_PAGES} if so many full pages of consecutive tokens follow, else 1. */
  private static int blockPages(KvView view, int entry, int low, int high) {
    int first = view.firstPosition(entry);
    if (entry + BLOCK_PAGES > view.size()
        || first < low
        || first + BLOCK_PAGES * PAGE_TOKENS > high) {
      return 1;
    }
    for (int i = 0; i < BLOCK_PAGES; i++) {
      if (view.length(entry + i) != PAGE_TOKENS
          || view.firstPosition(entry + i) != first + i * PAGE_TOKENS) {
        return 1;
      }
    }
    return BLOCK_PAGES;
  }

  private int maxima(int at, int queries) {
    return at + queries * valueStride;
  }

  private int sums(int at, int queries) {
    return maxima(at, queries) + queries;
  }

  /** The first entry that has a token at {@code position} or later. */
  private static int firstEntry(KvView view, int position) {
    int low = 0;
    int high = view.size();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (view.firstPosition(middle) + view.length(middle) > position) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  /** Scores of the tokens of a page, or of a block of pages, that lie in {@code [low, high)}. */
  private void score(
      KvView view,
      int entry,
      int pages,
      int head,
      int low,
      int high,
      int start,
      int queries,
      AttentionWorkspace.Scratch scratch) {
    for (int i = 0; i < pages; i++) {
      blocks.loadKeys(scratch, view.page(entry + i), head, i);
    }
    int first = view.firstPosition(entry);
    int from = Math.max(first, low);
    int to = Math.min(first + view.length(entry), high);
    float[] scores = scratch.scores;
    if (pages == BLOCK_PAGES || to - from == PAGE_TOKENS) {
      blocks.score(scratch, pages, queries, scores, from - start, SPLIT);
      cap(scores, from - start, SPLIT, queries, pages);
    } else {
      blocks.score(scratch, 1, queries, scratch.edge, 0, PAGE_TOKENS);
      cap(scratch.edge, 0, PAGE_TOKENS, queries, 1);
      for (int q = 0; q < queries; q++) {
        System.arraycopy(
            scratch.edge,
            q * PAGE_TOKENS + from - first,
            scores,
            q * SPLIT + from - start,
            to - from);
      }
    }
  }

  private void cap(float[] scores, int at, int stride, int queries, int pages) {
    if (op.softCap() == 0) {
      return;
    }
    for (int q = 0; q < queries; q++) {
      VectorMath.cap(scores, at + q * stride, pages * PAGE_TOKENS, op.softCap());
    }
  }

  /**
   * Adds the values of the tokens of a page, or of a block of pages, that lie in {@code [low,
   * high)}, times their weights. A row is never multiplied with a token that it does not see: zero
   * times NaN is NaN.
   */
  private void addValues(
      KvView view,
      int entry,
      int pages,
      int head,
      int low,
      int high,
      int start,
      int firstRow,
      int rows,
      AttentionWorkspace.Scratch scratch,
      float[] part,
      int at) {
    StepInputs inputs = step.inputs();
    int first = view.firstPosition(entry);
    int from = Math.max(first, low);
    int to = Math.min(first + (pages - 1) * PAGE_TOKENS + view.length(entry), high);
    for (int i = 0; i < pages; i++) {
      int tokens = Math.min(PAGE_TOKENS, to - first - i * PAGE_TOKENS);
      blocks.loadValues(scratch, view.page(entry + i), head, i, tokens);
    }
    int row = 0;
    while (row < rows) {
      int end = row;
      while (end < rows && sees(inputs.position(firstRow + end), from, to)) {
        end++;
      }
      int rowFrom = from;
      int rowTo = to;
      if (end == row) {
        int position = inputs.position(firstRow + row);
        rowFrom = Math.max(from, firstVisible(position));
        rowTo = Math.min(to, position + 1);
        end = row + 1;
      }
      int q = row * groupHeads;
      blocks.add(
          scratch,
          rowFrom - first,
          rowTo - first,
          scratch.scores,
          q * SPLIT + first - start,
          end * groupHeads - q,
          part,
          at + q * valueStride);
      row = end;
    }
  }

  private boolean sees(int position, int from, int to) {
    return to <= position + 1 && from >= firstVisible(position);
  }

  /** A total of nothing. */
  private void clear(float[] total, int queries) {
    Arrays.fill(total, 0, maxima(0, queries), 0);
    Arrays.fill(total, maxima(0, queries), sums(0, queries), Float.NEGATIVE_INFINITY);
    Arrays.fill(total, sums(0, queries), sums(0, queries) + queries, 0);
  }

  /** Adds the part at {@code part[at …]} to {@code total}. */
  private void merge(float[] total, float[] part, int at, int queries) {
    for (int q = 0; q < queries; q++) {
      int maximum = maxima(0, queries) + q;
      int sum = sums(0, queries) + q;
      float old = total[maximum];
      float fresh = part[at + maximum];
      if (fresh == Float.NEGATIVE_INFINITY) {
        continue;
      }
      float larger = Math.max(old, fresh);
      float keep = VectorMath.exp(old - larger);
      float take = VectorMath.exp(fresh - larger);
      total[maximum] = larger;
      total[sum] = total[sum] * keep + part[at + sum] * take;
      AttentionKernels.blend(
          total, q * valueStride, keep, part, at + q * valueStride, take, valueStride);
    }
  }

  /** Divides by the sums of exponentials and writes the rows' outputs. */
  private void finish(int tile, int head, float[] total) {
    int rows = workspace.tileRows[tile];
    int queries = rows * groupHeads;
    int width = op.heads() * valueSize;
    for (int r = 0; r < rows; r++) {
      for (int g = 0; g < groupHeads; g++) {
        int q = r * groupHeads + g;
        float factor = 1 / total[sums(0, queries) + q];
        int to = (workspace.tileFirst[tile] + r) * width + (head * groupHeads + g) * valueSize;
        for (int d = 0; d < valueSize; d++) {
          out[to + d] = total[q * valueStride + d] * factor;
        }
      }
    }
  }
}
