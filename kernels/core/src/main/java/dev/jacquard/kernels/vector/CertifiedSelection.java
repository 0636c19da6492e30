package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The list of {@link dev.jacquard.kernels.Exactness.Certified} for one row: exact scores of all
 * tokens, and values in three tiers by weight.
 *
 * <p>Tiers are found without sorting. Tokens are counted by the distance of their score from the
 * largest, in bins of a sixteenth; the lightest bins go to page means and the next to 4 bits, in
 * the proportion that reads the fewest bytes, as far as average radii and residuals say. Then every
 * head's cost is summed with the true ones, and its budget is corrected by what came out. Only what
 * was summed enters the bound. Sums of a chunk have a fixed order, and so have chunks.
 */
final class CertifiedSelection implements WorkerPool.Task {
  /** Bins of a unit of score. */
  static final float BINS_PER_UNIT = 16;

  private static final int BINS = 512;
  private static final short NONE = -1;

  /** How much more than its sum a cost counts, for the float roundings on the way to it. */
  private static final double COST_SLACK = 1 + 1e-5;

  /** Corrections of the budgets; the first ones also raise them. */
  private static final int MOST_ROUNDS = 8;

  private static final int RAISING_ROUNDS = 2;

  /** The share of its limit that a corrected budget aims at. */
  private static final double FILLED = 0.98;

  /** The weight at the upper end of each bin. */
  private static final double[] BIN_WEIGHTS = new double[BINS];

  static {
    Arrays.setAll(BIN_WEIGHTS, b -> Math.exp(-b / (double) BINS_PER_UNIT));
  }

  private enum Phase {
    SCORES,
    BINS,
    TIERS,
    MASKS
  }

  /** Buffers of a thread. */
  private static final class Scratch {
    final float[] weights = new float[SelectionRow.CHUNK_TOKENS];
    final float[] residuals = new float[SelectionRow.CHUNK_TOKENS];
    final float[] far = new float[SelectionRow.CHUNK_TOKENS];
    final float[] costs = new float[SelectionRow.CHUNK_TOKENS];
    final float[] pages = new float[SelectionRow.CHUNK_ENTRIES];
    int[] histogram = {};
  }

  /** What a chunk tells of its pages, for one key/value head. */
  private static final class PageNumbers {
    double spread;
    double longest;
    double radii;
    double residuals;
    int pages;
  }

  private final SelectionRow row;
  private final AttentionWorkspace workspace;
  private final Scratch[] scratch;
  private @Nullable AttentionBlocks blocks;
  private Phase phase = Phase.SCORES;
  private PageSelection.Slice[] slices = {};
  private PageNumbers[] numbers = {};
  private float[][] scoresOfSlices = {};
  private int nextScores;
  private float[][] scores = {};
  private int stride;
  private short[] bins = {};
  private float[] chunkMaximum = {};
  private float[] chunkMagnitude = {};
  private double[] chunkSum = {};
  private double[] chunkCost = {};
  private float[] maximum = {};
  private double[] sum = {};
  private double[] budget = {};
  private short[] firstFar = {};
  private short[] firstCoarse = {};
  private double[] rounding = {};
  private double[] limit = {};
  private boolean[] merged = {};
  private boolean[] divisible = {};
  private double[] diameters = {};
  private double[] meanRadius = {};
  private double[] meanResidual = {};

  /**
   * For any row.
   *
   * @param row what to choose for; the caller sets it before each {@link #select}
   * @param workspace buffers of dense attention, whose kernels read the keys
   */
  CertifiedSelection(SelectionRow row, int threads, AttentionWorkspace workspace) {
    this.row = row;
    this.workspace = workspace;
    scratch = new Scratch[threads];
    Arrays.setAll(scratch, i -> new Scratch());
  }

  /** Scores of earlier slices are not needed any more. */
  void begin() {
    nextScores = 0;
  }

  /**
   * Adds the row's slices to {@code selection}; they refer to buffers of this object.
   *
   * @param keys of the row's layer
   */
  void select(PageSelection selection, double epsilon, AttentionBlocks keys, WorkerPool pool) {
    blocks = keys;
    reserve();
    for (int head = 0; head < row.kvHeads(); head++) {
      slices[head] =
          selection.add(row.row(), 1, head * row.groupHeads(), row.groupHeads(), row.view());
      scores[head] = takeScores();
      slices[head].setScores(scores[head], stride);
    }
    int chunks = row.kvHeads() * row.chunks();
    run(Phase.SCORES, chunks, pool);
    findMaxima();
    run(Phase.BINS, chunks, pool);
    for (int h = 0; h < row.heads(); h++) {
      sum[h] = 0;
      for (int c = 0; c < row.chunks(); c++) {
        sum[h] += chunkSum[h * row.chunks() + c];
      }
    }
    boolean any = false;
    for (int head = 0; head < row.kvHeads(); head++) {
      any |= plan(head, epsilon);
    }
    if (any) {
      divide(epsilon, pool);
    }
  }

  private void reserve() {
    int heads = row.heads();
    int chunks = row.chunks();
    int tokens = chunks * SelectionRow.CHUNK_TOKENS;
    if (stride < tokens || bins.length < heads * stride) {
      stride = tokens + tokens / 2;
      bins = new short[Math.multiplyExact(heads, stride)];
    }
    if (slices.length < row.kvHeads()) {
      slices = new PageSelection.Slice[row.kvHeads()];
      scores = new float[row.kvHeads()][];
      divisible = new boolean[row.kvHeads()];
      diameters = new double[row.kvHeads()];
      meanRadius = new double[row.kvHeads()];
      meanResidual = new double[row.kvHeads()];
    }
    if (maximum.length < heads) {
      maximum = new float[heads];
      sum = new double[heads];
      budget = new double[heads];
      rounding = new double[heads];
      limit = new double[heads];
      merged = new boolean[heads];
      firstFar = new short[heads];
      firstCoarse = new short[heads];
    }
    if (chunkSum.length < heads * chunks) {
      chunkSum = new double[2 * heads * chunks];
      chunkCost = new double[chunkSum.length];
      chunkMaximum = new float[chunkSum.length];
      chunkMagnitude = new float[chunkSum.length];
      numbers = new PageNumbers[chunkSum.length];
      Arrays.setAll(numbers, i -> new PageNumbers());
    }
    Arrays.fill(merged, 0, heads, false);
    for (Scratch s : scratch) {
      if (s.histogram.length < heads * BINS) {
        s.histogram = new int[heads * BINS];
      }
      Arrays.fill(s.histogram, 0, heads * BINS, 0);
    }
  }

  private float[] takeScores() {
    if (nextScores == scoresOfSlices.length) {
      scoresOfSlices = Arrays.copyOf(scoresOfSlices, 2 * nextScores + 1);
      Arrays.fill(scoresOfSlices, nextScores, scoresOfSlices.length, new float[0]);
    }
    if (scoresOfSlices[nextScores].length < row.groupHeads() * stride) {
      scoresOfSlices[nextScores] = new float[row.groupHeads() * stride];
    }
    return scoresOfSlices[nextScores++];
  }

  private void run(Phase next, int items, WorkerPool pool) {
    phase = next;
    pool.run(items, 1, this);
  }

  @Override
  public void run(int from, int to, int thread) {
    Scratch s = scratch[thread];
    for (int item = from; item < to; item++) {
      switch (phase) {
        case SCORES -> score(item / row.chunks(), item % row.chunks(), workspace.scratch(thread));
        case BINS -> count(item / row.chunks(), item % row.chunks(), s);
        case TIERS -> findTiers(item);
        case MASKS -> mark(item / row.chunks(), item % row.chunks(), s);
      }
    }
  }

  private void score(int kvHead, int chunk, AttentionWorkspace.Scratch buffers) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int count = (end - first) * PAGE_TOKENS;
    int from = first * PAGE_TOKENS;
    float[] target = scores[kvHead];
    scoreAll(kvHead, first, end, buffers, target);
    for (int e = first; e < end; e++) {
      int visible = row.visible(e);
      for (int t = 0; visible != 0xFFFF && t < PAGE_TOKENS; t++) {
        if ((visible >> t & 1) == 0) {
          for (int h = 0; h < row.groupHeads(); h++) {
            target[h * stride + e * PAGE_TOKENS + t] = Float.NEGATIVE_INFINITY;
          }
        }
      }
    }
    for (int h = 0; h < row.groupHeads(); h++) {
      int at = h * stride + from;
      int to = (kvHead * row.groupHeads() + h) * row.chunks() + chunk;
      chunkMaximum[to] = AttentionKernels.maximum(target, at, at + count);
      chunkMagnitude[to] = SelectionKernels.magnitude(target, at, at + count);
    }
    describe(kvHead, first, end, numbers[kvHead * row.chunks() + chunk]);
  }

  /** Exact scores of all tokens of some entries, whole pages at a time as dense attention does. */
  private void scoreAll(
      int kvHead, int first, int end, AttentionWorkspace.Scratch buffers, float[] target) {
    AttentionBlocks keys = Objects.requireNonNull(blocks);
    int filled = keys.queryStride();
    for (int h = 0; h < row.groupHeads(); h++) {
      int from = row.queryAt(kvHead * row.groupHeads() + h);
      for (int i = 0; i < row.keySize(); i++) {
        buffers.queries[h * filled + i] = row.query()[from + i] * row.scale();
      }
      Arrays.fill(buffers.queries, h * filled + row.keySize(), (h + 1) * filled, 0);
    }
    for (int e = first; e < end; ) {
      int pages = end - e >= AttentionStage.BLOCK_PAGES ? AttentionStage.BLOCK_PAGES : 1;
      for (int i = 0; i < pages; i++) {
        keys.loadKeys(buffers, row.view().page(e + i), kvHead, i);
      }
      keys.score(buffers, pages, row.groupHeads(), target, e * PAGE_TOKENS, stride);
      e += pages;
    }
    if (row.softCap() != 0) {
      for (int h = 0; h < row.groupHeads(); h++) {
        VectorMath.cap(
            target, h * stride + first * PAGE_TOKENS, (end - first) * PAGE_TOKENS, row.softCap());
      }
    }
  }

  /** Spread, lengths, radii and residuals of the closed pages; the latter two are a sample. */
  private void describe(int kvHead, int first, int end, PageNumbers to) {
    to.spread = 0;
    to.longest = 0;
    to.radii = 0;
    to.residuals = 0;
    to.pages = 0;
    for (int e = first; e < end; e++) {
      if (!row.open(e)) {
        int page = row.view().page(e);
        float radius = row.meanNumber(page, kvHead, SelectionRow.RADIUS);
        float mean =
            127
                * (float) Math.sqrt(row.valueSize())
                * row.meanNumber(page, kvHead, SelectionRow.SCALE);
        to.spread = Math.max(to.spread, row.meanNumber(page, kvHead, SelectionRow.SPREAD));
        to.longest = Math.max(to.longest, mean + radius);
        to.radii += radius;
        to.residuals += residual(page, kvHead, 0);
        to.pages++;
      }
    }
  }

  private float residual(int page, int kvHead, int offset) {
    return Float.float16ToFloat(
        row.kv()
            .memory(row.layer(), page)
            .get(
                Q8KvStorage.HALF,
                row.kv().offset(Part.RESIDUALS, row.layer(), page, kvHead)
                    + (long) offset * Short.BYTES));
  }

  private void findMaxima() {
    for (int h = 0; h < row.heads(); h++) {
      maximum[h] = Float.NEGATIVE_INFINITY;
      for (int c = 0; c < row.chunks(); c++) {
        maximum[h] = Math.max(maximum[h], chunkMaximum[h * row.chunks() + c]);
      }
    }
  }

  /** Counts a chunk's tokens that may be left, and sums the weights of all. */
  private void count(int kvHead, int chunk, Scratch s) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int count = (end - first) * PAGE_TOKENS;
    for (int h = 0; h < row.groupHeads(); h++) {
      int head = kvHead * row.groupHeads() + h;
      int at = h * stride + first * PAGE_TOKENS;
      int to = head * stride + first * PAGE_TOKENS;
      SelectionKernels.distances(scores[kvHead], at, count, maximum[head], BINS - 1, bins, to);
      SelectionKernels.shift(scores[kvHead], at, count, maximum[head], s.weights);
      VectorMath.exp(s.weights, 0, count);
      TokenKernels.sum16(s.weights, 0, end - first, s.pages, 0);
      double all = 0;
      for (int e = 0; e < end - first; e++) {
        all += s.pages[e];
      }
      chunkSum[head * row.chunks() + chunk] = all;
    }
    for (int e = first; e < end; e++) {
      int free = row.visible(e) & ~row.forced(e);
      for (int t = 0; free != 0xFFFF && t < PAGE_TOKENS; t++) {
        if ((free >> t & 1) == 0) {
          for (int h = 0; h < row.groupHeads(); h++) {
            bins[(kvHead * row.groupHeads() + h) * stride + e * PAGE_TOKENS + t] = NONE;
          }
        }
      }
    }
    for (int h = 0; h < row.groupHeads(); h++) {
      int head = kvHead * row.groupHeads() + h;
      int at = head * stride + first * PAGE_TOKENS;
      for (int i = at; i < at + count; i++) {
        if (bins[i] >= 0) {
          s.histogram[head * BINS + bins[i]]++;
        }
      }
    }
  }

  /** Budgets of a key/value head's query heads; false if all is read in 8 bits. */
  private boolean plan(int kvHead, double epsilon) {
    double diameter = 0;
    double longest = 0;
    double radii = 0;
    double residuals = 0;
    int pages = 0;
    for (int c = 0; c < row.chunks(); c++) {
      PageNumbers n = numbers[kvHead * row.chunks() + c];
      diameter = Math.max(diameter, n.spread);
      longest = Math.max(longest, n.longest);
      radii += n.radii;
      residuals += n.residuals;
      pages += n.pages;
    }
    meanRadius[kvHead] = radii / pages;
    meanResidual[kvHead] = residuals / pages;
    double output = 3 * Math.max(longest, openLength(kvHead));
    boolean fits = diameter > 0;
    for (int h = kvHead * row.groupHeads(); h < (kvHead + 1) * row.groupHeads(); h++) {
      float largest = 0;
      for (int c = 0; c < row.chunks(); c++) {
        largest = Math.max(largest, chunkMagnitude[h * row.chunks() + c]);
      }
      // Outputs are not longer than the longest value and what the bound and 4 bits add.
      rounding[h] = row.rounding(largest, output, diameter);
      limit[h] = (epsilon - rounding[h]) * diameter / COST_SLACK;
      budget[h] = limit[h];
      fits &= rounding[h] < epsilon && sum[h] > 0;
    }
    diameters[kvHead] = diameter;
    divisible[kvHead] = fits;
    if (!fits) {
      readAll(kvHead);
    }
    return fits;
  }

  /** The length of the longest visible value of the open page, of which no mean speaks yet. */
  private double openLength(int kvHead) {
    double longest = 0;
    float[] value = new float[row.valueSize()];
    for (int e = 0; e < row.entries(); e++) {
      for (int t = 0; row.open(e) && t < Integer.bitCount(row.visible(e)); t++) {
        row.kv().readValue(row.layer(), row.view().page(e), t, kvHead, value, 0);
        double squares = 0;
        for (float x : value) {
          squares += (double) x * x;
        }
        longest = Math.max(longest, Math.sqrt(squares));
      }
    }
    return longest;
  }

  private void readAll(int kvHead) {
    PageSelection.Slice slice = slices[kvHead];
    for (int e = 0; e < slice.entries(); e++) {
      slice.fine()[e] = (char) row.visible(e);
      slice.coarse()[e] = 0;
    }
    if (slice.hasFar()) {
      slice.openFar();
    }
    Arrays.fill(slice.bound(), 0, slice.heads(), 0);
  }

  /** Gives tokens their tiers, and corrects budgets until every head keeps its promise. */
  private void divide(double epsilon, WorkerPool pool) {
    for (int round = 0; round < MOST_ROUNDS; round++) {
      for (int head = 0; head < row.kvHeads(); head++) {
        if (divisible[head]) {
          slices[head].openFar();
        }
      }
      run(Phase.TIERS, row.heads(), pool);
      run(Phase.MASKS, row.kvHeads() * row.chunks(), pool);
      boolean kept = true;
      for (int h = 0; h < row.heads(); h++) {
        kept &= bind(h, epsilon);
      }
      if (kept && round >= RAISING_ROUNDS) {
        return;
      }
      for (int h = 0; h < row.heads(); h++) {
        double factor = FILLED * limit[h] / cost(h);
        budget[h] *= round < RAISING_ROUNDS ? Math.clamp(factor, 0.25, 4) : Math.min(factor, 1);
      }
    }
    for (int head = 0; head < row.kvHeads(); head++) {
      readAll(head);
    }
  }

  /** Writes a head's bound; returns whether it is within the promise. */
  private boolean bind(int h, double epsilon) {
    int kvHead = h / row.groupHeads();
    if (!divisible[kvHead]) {
      return true;
    }
    double bound = cost(h) * COST_SLACK / diameters[kvHead] + rounding[h];
    slices[kvHead].bound()[h % row.groupHeads()] = Math.nextUp((float) bound);
    return slices[kvHead].bound()[h % row.groupHeads()] <= epsilon;
  }

  /** What a head's tiers may change of its output. */
  private double cost(int h) {
    double cost = 0;
    for (int c = 0; c < row.chunks(); c++) {
      cost += chunkCost[h * row.chunks() + c];
    }
    return cost / sum[h];
  }

  /** The bins of a head that go to page means and to 4 bits: the fewest bytes within its budget. */
  private void findTiers(int h) {
    int kvHead = h / row.groupHeads();
    int fineBytes = QuantizedKv.valueBytes(row.valueSize()) + Short.BYTES;
    int coarseBytes = QuantizedKv.coarseValueBytes(row.valueSize());
    int[] counts = scratch[0].histogram;
    int first = h * BINS;
    if (!merged[h]) {
      for (int i = 1; i < scratch.length; i++) {
        for (int b = first; b < first + BINS; b++) {
          counts[b] += scratch[i].histogram[b];
        }
      }
      merged[h] = true;
    }
    // Two ends that move towards the heavy bins: as page means take more, 4 bits get less.
    double far = 0;
    double coarse = 0;
    long farCount = 0;
    long coarseCount = 0;
    long most = -1;
    int low = BINS;
    for (int b = BINS; b >= 0; b--) {
      if (b < BINS) {
        double weight = weight(counts[first + b], b, h);
        far += weight * meanRadius[kvHead];
        farCount += counts[first + b];
        if (low > b) {
          low = b;
        } else {
          coarse -= weight * meanResidual[kvHead];
          coarseCount -= counts[first + b];
        }
      }
      if (far > budget[h]) {
        break;
      }
      while (low > 0
          && far + coarse + weight(counts[first + low - 1], low - 1, h) * meanResidual[kvHead]
              <= budget[h]) {
        low--;
        coarse += weight(counts[first + low], low, h) * meanResidual[kvHead];
        coarseCount += counts[first + low];
      }
      while (far + coarse > budget[h] && low < b) {
        coarse -= weight(counts[first + low], low, h) * meanResidual[kvHead];
        coarseCount -= counts[first + low];
        low++;
      }
      long saved = farCount * fineBytes + coarseCount * (fineBytes - coarseBytes);
      if (saved > most) {
        most = saved;
        firstFar[h] = (short) b;
        firstCoarse[h] = (short) low;
      }
    }
  }

  /** The most that the tokens of a bin can weigh, of the whole. */
  private double weight(int count, int bin, int h) {
    return count == 0 ? 0 : count * BIN_WEIGHTS[bin] / sum[h];
  }

  /** Tiers of a chunk's tokens for all heads together, and what they cost each of them. */
  private void mark(int kvHead, int chunk, Scratch s) {
    if (!divisible[kvHead]) {
      return;
    }
    PageSelection.Slice slice = slices[kvHead];
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int count = (end - first) * PAGE_TOKENS;
    char[] fine = slice.fine();
    char[] coarse = slice.coarse();
    Arrays.fill(fine, first, end, (char) 0);
    Arrays.fill(coarse, first, end, (char) 0);
    for (int h = kvHead * row.groupHeads(); h < (kvHead + 1) * row.groupHeads(); h++) {
      int at = h * stride + first * PAGE_TOKENS;
      SelectionKernels.keepBelow(bins, at, firstCoarse[h], fine, first, end);
      SelectionKernels.keepBelow(bins, at, firstFar[h], coarse, first, end);
    }
    for (int e = first; e < end; e++) {
      int visible = row.visible(e);
      fine[e] = (char) ((fine[e] & visible) | row.forced(e));
      coarse[e] = (char) (coarse[e] & visible & ~fine[e]);
      int page = row.view().page(e);
      MemorySegment memory = row.kv().memory(row.layer(), page);
      long residuals = row.kv().offset(Part.RESIDUALS, row.layer(), page, kvHead);
      for (int t = 0; t < PAGE_TOKENS; t++) {
        s.residuals[(e - first) * PAGE_TOKENS + t] =
            Float.float16ToFloat(memory.get(Q8KvStorage.HALF, residuals + 2L * t));
      }
    }
    for (int h = 0; h < row.groupHeads(); h++) {
      int head = kvHead * row.groupHeads() + h;
      float largest = maximum[head];
      SelectionKernels.shift(
          scores[kvHead], h * stride + first * PAGE_TOKENS, count, largest, s.weights);
      VectorMath.exp(s.weights, 0, count);
      SelectionKernels.split(s.weights, s.residuals, fine, coarse, first, end, s.far, s.costs);
      int far = h * slice.entries() + first;
      TokenKernels.sum16(s.far, 0, end - first, slice.far(), far);
      TokenKernels.sum16(s.costs, 0, end - first, s.pages, 0);
      double cost = 0;
      for (int e = first; e < end; e++) {
        cost += s.pages[e - first];
        float weight = slice.far()[far + e - first];
        if (weight > 0) {
          cost += weight * (double) row.meanNumber(row.view().page(e), kvHead, SelectionRow.RADIUS);
        }
      }
      chunkCost[head * row.chunks() + chunk] = cost;
      slice.farLog()[h] = largest;
    }
  }
}
