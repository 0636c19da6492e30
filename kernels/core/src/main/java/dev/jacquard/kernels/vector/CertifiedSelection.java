package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.PageSelection;
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
 * <p>All chunks are passed twice: for scores and weights, relative to the chunk's largest score;
 * and, once {@link TierLimits} has found limits on a sample, for tiers and what they cost. If a
 * head costs more than it may, limits are lowered and the second pass is repeated. Only what was
 * summed over all tokens enters the bound. Sums of a chunk have a fixed order, and so have chunks.
 */
final class CertifiedSelection implements WorkerPool.Task {
  /** How much more than its sum a cost counts, for the float roundings on the way to it. */
  private static final double COST_SLACK = 1 + 2e-5;

  /** Passes for tiers before everything is read. */
  private static final int MOST_ROUNDS = 5;

  private static final int FOUR_PAGES = 4 * PAGE_TOKENS;

  private enum Phase {
    SCORES,
    TIERS
  }

  /** Buffers of a thread. */
  private static final class Scratch {
    final float[] residuals = new float[SelectionRow.CHUNK_TOKENS];
    final short[] halves = new short[SelectionRow.CHUNK_TOKENS];
    final float[] ranks = new float[SelectionRow.CHUNK_TOKENS];
    final float[] farWeights = new float[SelectionRow.CHUNK_TOKENS];
    final float[] squares = new float[SelectionRow.CHUNK_TOKENS];
    final float[] pages = new float[SelectionRow.CHUNK_ENTRIES];
    final float[] chains = new float[VectorMath.EXP_CHAINS];
    final float[] extremes = new float[2 * PAGE_TOKENS];
    final char[] far = new char[SelectionRow.CHUNK_ENTRIES];

    /** Entries of which a token has to be read in 8 bits; they are no samples. */
    final boolean[] holdsForced = new boolean[SelectionRow.CHUNK_ENTRIES];

    final ValueDiameter diameter = new ValueDiameter();
  }

  /** One key/value head. */
  private static final class Group {
    final TierLimits limits = new TierLimits();

    /** Of each entry; 0 of the open one. */
    float[] stretches = {};

    /** A lower bound of that of the values. */
    double diameter;

    /** Length of the longest value of the open page, of which no mean speaks yet. */
    double openLength;

    /** Whether tokens get tiers; else all is read in 8 bits. */
    boolean divisible;
  }

  private final SelectionRow row;
  private final AttentionWorkspace workspace;
  private final Scratch[] scratch;
  private @Nullable AttentionBlocks blocks;
  private Phase phase = Phase.SCORES;

  // Of each key/value head: its slice, itself, its slice's scores.
  private PageSelection.Slice[] slices = {};
  private Group[] groups = {};
  private float[][] scores = {};

  /** Scores of all slices of a step: attention reads them after the next row was chosen for. */
  private float[][] scoresOfSlices = {};

  private int nextScores;

  /** From the scores or weights of one head to those of the next. */
  private int stride;

  /** [heads × stride] relative to the largest score of the token's chunk. */
  private float[] weights = {};

  // Of each entry: its tokens that the row sees, and those that must be read in 8 bits.
  private char[] visible = {};
  private char[] forced = {};

  // [heads × chunks], longest [kvHeads × chunks].
  private float[] chunkMaximum = {};
  private float[] chunkMagnitude = {};
  private float[] chunkSum = {};
  private double[] chunkCost = {};
  private double[] factors = {};
  private float[] longest = {};

  // Of each head; what its tiers may cost is relative to its largest weight.
  private float[] maximum = {};
  private double[] sum = {};
  private double[] rounding = {};
  private double[] budget = {};

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
    }
    run(Phase.SCORES, row.kvHeads() * (row.chunks() + 1), pool);
    boolean any = false;
    for (int head = 0; head < row.kvHeads(); head++) {
      groups[head].divisible = plan(head, epsilon);
      any |= groups[head].divisible;
    }
    if (any) {
      divide(epsilon, pool);
    }
    for (int head = 0; head < row.kvHeads(); head++) {
      if (!groups[head].divisible) {
        readAll(head);
      }
    }
  }

  private void reserve() {
    int heads = row.heads();
    int chunks = row.chunks();
    int tokens = chunks * SelectionRow.CHUNK_TOKENS;
    if (stride < tokens || weights.length < (long) heads * stride) {
      stride = tokens + tokens / 2;
      weights = new float[Math.multiplyExact(heads, stride)];
    }
    if (slices.length < row.kvHeads()) {
      slices = new PageSelection.Slice[row.kvHeads()];
      scores = new float[row.kvHeads()][];
      groups = new Group[row.kvHeads()];
      Arrays.setAll(groups, i -> new Group());
    }
    int entries = chunks * SelectionRow.CHUNK_ENTRIES;
    if (visible.length < entries) {
      visible = new char[2 * entries];
      forced = new char[2 * entries];
    }
    for (int head = 0; head < row.kvHeads(); head++) {
      groups[head].limits.reserve(row.groupHeads());
      if (groups[head].stretches.length < entries) {
        groups[head].stretches = new float[2 * entries];
      }
    }
    if (maximum.length < heads) {
      maximum = new float[heads];
      sum = new double[heads];
      rounding = new double[heads];
      budget = new double[heads];
    }
    if (chunkSum.length < heads * chunks) {
      chunkSum = new float[2 * heads * chunks];
      chunkCost = new double[chunkSum.length];
      factors = new double[chunkSum.length];
      chunkMaximum = new float[chunkSum.length];
      chunkMagnitude = new float[chunkSum.length];
      longest = new float[chunkSum.length];
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
        case SCORES -> {
          if (item < row.kvHeads()) {
            groups[item].diameter = s.diameter.of(row, item);
            groups[item].openLength = s.diameter.openLength(row, item);
          } else {
            int chunk = item - row.kvHeads();
            score(chunk / row.chunks(), chunk(chunk), workspace.scratch(thread), s);
          }
        }
        case TIERS -> mark(item / row.chunks(), chunk(item), s);
      }
    }
  }

  /** The chunk of an item: in the order of {@link ListAttention}, whose cores then have it. */
  private int chunk(int item) {
    return row.chunks() - 1 - item % row.chunks();
  }

  /** Scores and weights of a chunk, relative to its largest, and its part of the sample. */
  private void score(int kvHead, int chunk, AttentionWorkspace.Scratch buffers, Scratch s) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int count = (end - first) * PAGE_TOKENS;
    float[] target = scores[kvHead];
    scoreAll(kvHead, first, end, buffers, target);
    describe(kvHead, chunk, s);
    for (int e = first; e < end; e++) {
      int seen = row.visible(e);
      for (int t = 0; seen != 0xFFFF && t < PAGE_TOKENS; t++) {
        if ((seen >> t & 1) == 0) {
          for (int h = 0; h < row.groupHeads(); h++) {
            target[h * stride + e * PAGE_TOKENS + t] = Float.NEGATIVE_INFINITY;
          }
        }
      }
    }
    for (int h = 0; h < row.groupHeads(); h++) {
      int at = h * stride + first * PAGE_TOKENS;
      int head = kvHead * row.groupHeads() + h;
      int to = head * row.chunks() + chunk;
      findExtremes(target, at, count, to, s);
      int weightsAt = head * stride + first * PAGE_TOKENS;
      System.arraycopy(target, at, weights, weightsAt, count);
      chunkSum[to] =
          AttentionKernels.exponentials(
              weights, weightsAt, weightsAt + count, chunkMaximum[to], s.chains);
    }
    sample(kvHead, first, end, s);
  }

  private void sample(int kvHead, int first, int end, Scratch s) {
    TierLimits limits = groups[kvHead].limits;
    int step = TierLimits.step(row.entries());
    for (int e = (first + step - 1) / step * step; e < end; e += step) {
      if (s.holdsForced[e - first]) {
        limits.skip(e / step);
      } else {
        limits.sample(
            e / step,
            weights,
            kvHead * row.groupHeads() * stride + e * PAGE_TOKENS,
            stride,
            s.residuals,
            (e - first) * PAGE_TOKENS,
            groups[kvHead].stretches[e]);
      }
    }
  }

  /** The largest score of a chunk, and the largest finite magnitude, to place {@code to}. */
  private void findExtremes(float[] target, int at, int count, int to, Scratch s) {
    int whole = count / FOUR_PAGES * FOUR_PAGES;
    float largest = Float.NEGATIVE_INFINITY;
    float magnitude = 0;
    if (whole > 0) {
      TierKernels.extremes(target, at, whole, s.extremes);
      for (int lane = 0; lane < PAGE_TOKENS; lane++) {
        largest = Math.max(largest, s.extremes[lane]);
        magnitude = Math.max(magnitude, s.extremes[PAGE_TOKENS + lane]);
      }
    }
    if (whole < count) {
      largest = Math.max(largest, AttentionKernels.maximum(target, at + whole, at + count));
      float rest = SelectionKernels.magnitude(target, at + whole, at + count);
      magnitude = Math.max(magnitude, rest);
    }
    chunkMaximum[to] = largest;
    chunkMagnitude[to] = magnitude;
  }

  /** Exact scores of all tokens of some entries, whole pages at a time as dense attention does. */
  private void scoreAll(
      int kvHead, int first, int end, AttentionWorkspace.Scratch buffers, float[] target) {
    AttentionBlocks keys = Objects.requireNonNull(blocks);
    for (int h = 0; h < row.groupHeads(); h++) {
      int from = row.queryAt(kvHead * row.groupHeads() + h);
      keys.loadQuery(buffers, h, row.query(), from, row.keySize(), row.scale());
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

  /**
   * What is known of a chunk's entries without their weights: which tokens are seen and which must
   * be read, stretches and the length of the longest value of the closed ones, residuals.
   */
  private void describe(int kvHead, int chunk, Scratch s) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    float[] stretches = groups[kvHead].stretches;
    Arrays.fill(stretches, first, first + SelectionRow.CHUNK_ENTRIES, 0);
    Arrays.fill(s.holdsForced, true);
    float root = (float) Math.sqrt(row.valueSize());
    float most = 0;
    for (int e = first; e < end; e++) {
      int must = row.forced(e);
      s.holdsForced[e - first] = must != 0;
      if (kvHead == 0) {
        visible[e] = (char) row.visible(e);
        forced[e] = (char) must;
      }
      if (!row.open(e)) {
        int page = row.view().page(e);
        stretches[e] = row.meanNumber(page, kvHead, SelectionRow.STRETCH);
        float mean = 127 * root * row.meanNumber(page, kvHead, SelectionRow.SCALE);
        most = Math.max(most, mean + stretches[e]);
      }
    }
    longest[kvHead * row.chunks() + chunk] = most;
    readResiduals(kvHead, first, end, s);
  }

  private void readResiduals(int kvHead, int first, int end, Scratch s) {
    for (int e = first; e < end; e++) {
      int page = row.view().page(e);
      MemorySegment.copy(
          row.kv().memory(row.layer(), page),
          Q8KvStorage.HALF,
          row.kv().offset(Part.RESIDUALS, row.layer(), page, kvHead),
          s.halves,
          (e - first) * PAGE_TOKENS,
          PAGE_TOKENS);
    }
    TierKernels.toFloats(s.halves, (end - first) * PAGE_TOKENS, s.residuals);
  }

  /** Limits of a key/value head's query heads; false if all is to be read in 8 bits. */
  private boolean plan(int kvHead, double epsilon) {
    Group group = groups[kvHead];
    double most = group.openLength;
    for (int c = 0; c < row.chunks(); c++) {
      most = Math.max(most, longest[kvHead * row.chunks() + c]);
    }
    boolean fits = group.diameter > 0;
    for (int h = kvHead * row.groupHeads(); h < (kvHead + 1) * row.groupHeads(); h++) {
      float magnitude = 0;
      maximum[h] = Float.NEGATIVE_INFINITY;
      for (int c = h * row.chunks(); c < (h + 1) * row.chunks(); c++) {
        magnitude = Math.max(magnitude, chunkMagnitude[c]);
        maximum[h] = Math.max(maximum[h], chunkMaximum[c]);
      }
      sum[h] = 0;
      for (int c = 0; c < row.chunks(); c++) {
        int at = h * row.chunks() + c;
        factors[at] = factor(h, c);
        sum[h] += chunkSum[at] * factors[at];
      }
      // Outputs are not longer than the longest value and what the bound and 4 bits add.
      rounding[h] = row.rounding(magnitude, 3 * most, group.diameter);
      budget[h] = (epsilon - rounding[h]) * group.diameter / COST_SLACK * sum[h];
      fits &= rounding[h] < epsilon && sum[h] > 0;
    }
    if (fits) {
      findLimits(kvHead);
    }
    return fits;
  }

  /** What turns weights of a chunk into weights relative to the head's largest score. */
  private double factor(int h, int chunk) {
    float own = chunkMaximum[h * row.chunks() + chunk];
    return own == Float.NEGATIVE_INFINITY ? 0 : Math.exp((double) own - maximum[h]);
  }

  private void findLimits(int kvHead) {
    TierLimits limits = groups[kvHead].limits;
    int step = TierLimits.step(row.entries());
    int samples = (row.entries() + step - 1) / step;
    int firstHead = kvHead * row.groupHeads();
    for (int h = 0; h < row.groupHeads(); h++) {
      for (int i = 0; i < samples; i++) {
        int chunk = i * step / SelectionRow.CHUNK_ENTRIES;
        limits.scale(i, h, factors[(firstHead + h) * row.chunks() + chunk]);
      }
    }
    int free = 0;
    for (int e = 0; e < row.entries(); e++) {
      free += forced[e] == 0 ? 1 : 0;
    }
    limits.find(samples, budget, firstHead, free, row.valueSize());
  }

  /** Gives up tiers. The scores are there, so the reader need not compute them again. */
  private void readAll(int kvHead) {
    PageSelection.Slice slice = slices[kvHead];
    for (int e = 0; e < slice.entries(); e++) {
      slice.fine()[e] = (char) row.visible(e);
      slice.coarse()[e] = 0;
    }
    if (slice.hasFar()) {
      slice.openFar();
    }
    slice.setScores(scores[kvHead], stride);
    Arrays.fill(slice.bound(), 0, slice.heads(), 0);
  }

  /** Gives tokens their tiers, and lowers limits until every head keeps its promise. */
  private void divide(double epsilon, WorkerPool pool) {
    for (int head = 0; head < row.kvHeads(); head++) {
      if (groups[head].divisible) {
        slices[head].setScores(scores[head], stride);
        slices[head].openFar();
        for (int h = 0; h < row.groupHeads(); h++) {
          slices[head].farLog()[h] = maximum[head * row.groupHeads() + h];
        }
      }
    }
    for (int round = 0; round < MOST_ROUNDS; round++) {
      run(Phase.TIERS, row.kvHeads() * row.chunks(), pool);
      boolean kept = true;
      for (int h = 0; h < row.heads(); h++) {
        if (groups[h / row.groupHeads()].divisible && !bind(h, epsilon)) {
          kept = false;
        }
      }
      if (kept) {
        return;
      }
    }
    for (int h = 0; h < row.heads(); h++) {
      int kvHead = h / row.groupHeads();
      groups[kvHead].divisible &= slices[kvHead].bound()[h % row.groupHeads()] <= epsilon;
    }
  }

  /** Writes a head's bound; lowers its limit and returns false if it breaks the promise. */
  private boolean bind(int h, double epsilon) {
    int kvHead = h / row.groupHeads();
    int inGroup = h % row.groupHeads();
    double cost = 0;
    for (int c = 0; c < row.chunks(); c++) {
      cost += chunkCost[h * row.chunks() + c];
    }
    double bound = cost / sum[h] * COST_SLACK / groups[kvHead].diameter + rounding[h];
    float[] bounds = slices[kvHead].bound();
    bounds[inGroup] = Math.nextUp((float) bound);
    if (bounds[inGroup] <= epsilon) {
      return true;
    }
    groups[kvHead].limits.lower(inGroup, Math.max(1, cost / budget[h]));
    return false;
  }

  /** Tiers of a chunk's tokens for all heads together, and what they cost each of them. */
  private void mark(int kvHead, int chunk, Scratch s) {
    if (!groups[kvHead].divisible) {
      return;
    }
    PageSelection.Slice slice = slices[kvHead];
    TierLimits limits = groups[kvHead].limits;
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int count = (end - first) * PAGE_TOKENS;
    int firstHead = kvHead * row.groupHeads();
    for (int h = 0; h < row.groupHeads(); h++) {
      float factor = (float) (factors[(firstHead + h) * row.chunks() + chunk] / limits.coarse(h));
      int at = (firstHead + h) * stride + first * PAGE_TOKENS;
      if (h == 0) {
        TierKernels.rank(weights, at, count, factor, s.ranks);
      } else {
        TierKernels.raise(weights, at, count, factor, s.ranks);
      }
    }
    char[] fine = slice.fine();
    char[] coarse = slice.coarse();
    TierKernels.atLeast(s.ranks, end - first, limits.fine(), fine, first);
    TierKernels.atLeast(s.ranks, end - first, 1, coarse, first);
    for (int e = first; e < end; e++) {
      fine[e] = (char) ((fine[e] & visible[e]) | forced[e]);
      coarse[e] = (char) (coarse[e] & visible[e] & ~fine[e]);
      s.far[e - first] = (char) (visible[e] & ~fine[e] & ~coarse[e]);
    }
    readResiduals(kvHead, first, end, s);
    for (int h = 0; h < row.groupHeads(); h++) {
      charge(kvHead, h, chunk, slice, s);
    }
  }

  /** Weights of a chunk's page means for one head, and what the chunk's tiers cost it. */
  private void charge(int kvHead, int h, int chunk, PageSelection.Slice slice, Scratch s) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int head = kvHead * row.groupHeads() + h;
    TierKernels.split(
        weights,
        head * stride + first * PAGE_TOKENS,
        s.residuals,
        s.far,
        slice.coarse(),
        first,
        end,
        s.farWeights,
        s.squares,
        s.chains);
    double factor = factors[head * row.chunks() + chunk];
    TokenKernels.sum16(s.farWeights, 0, end - first, s.pages, 0);
    int to = h * slice.entries() + first;
    for (int p = 0; p < end - first; p++) {
      if (s.far[p] != 0) {
        // Never 0: the page must be read, in case its mean is not a number.
        slice.far()[to + p] = Math.max((float) (s.pages[p] * factor), Float.MIN_VALUE);
      } else {
        slice.far()[to + p] = 0;
      }
    }
    TokenKernels.sum16(s.squares, 0, end - first, s.pages, 0);
    Arrays.fill(s.pages, end - first, SelectionRow.CHUNK_ENTRIES, 0);
    TierKernels.addStretched(
        s.pages, SelectionRow.CHUNK_ENTRIES, groups[kvHead].stretches, first, s.chains);
    double cost = 0;
    for (float chain : s.chains) {
      cost += chain;
    }
    chunkCost[head * row.chunks() + chunk] = cost * factor;
  }
}
