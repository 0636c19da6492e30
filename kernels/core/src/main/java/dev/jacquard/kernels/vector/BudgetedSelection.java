package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.ErrorAudit;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.Arrays;

/**
 * The list of {@link dev.jacquard.kernels.Exactness.Budgeted} for one row: tokens that are heavy by
 * the weight that sketches estimate, and weights of page means for the rest.
 *
 * <p>Sketch scores are whole numbers of steps ({@link SketchTables}). So weights need no sums over
 * tokens: a histogram counts each number, and the total is the sum of the counts times the weight
 * of their number. Counts are the same in any order, hence for any number of threads. A row is
 * worked through in five loops over heads or over chunks of pages; each of them needs all that the
 * one before has found.
 */
final class BudgetedSelection implements WorkerPool.Task {
  /** Stands for a token that is forced or not visible: below every sum of steps. */
  private static final short NONE = -1;

  /** Rows that lie a power of two apart would share lines of the first-level cache. */
  private static final int PADDING = 96;

  private enum Phase {
    QUERIES,
    SCAN,
    THRESHOLDS,
    LISTS,
    WEIGHTS,
    SAMPLES
  }

  /** Buffers of a thread. */
  private static final class Scratch {
    final SketchTables.Scratch tables = new SketchTables.Scratch();
    final EntryScan scan = new EntryScan();
    final TokenScores exact = new TokenScores();
    final int[] forced = new int[SelectionRow.CHUNK_TOKENS];
    final float[] weights = new float[SelectionRow.CHUNK_TOKENS];
    final float[] chains = new float[VectorMath.CHAINS];
    float[] exactScores = {};
    float[] sketchScores = {};
    float[] binWeights = {};
    double[] upTo = {};
    int[] histogram = {};
  }

  private final SelectionRow row;
  private final SketchTables tables = new SketchTables();
  private final Scratch[] scratch;
  private Phase phase = Phase.QUERIES;
  private PageSelection.Slice[] slices = {};
  private double coverage;
  private boolean everyMean;
  private long seed;
  private int stride;
  private short[] sums = {};
  private float[] forcedMaximum = {};
  private float[] forcedSum = {};
  private double[] errorSum = {};
  private double[] errorSquares = {};
  private int[] forcedCount = {};
  private float[] maximum = {};

  /** Of each head: what is added to the scores of sketches, half the variance of their error. */
  private float[] raise = {};

  /** Of each head: the weight from which on a token or the rest of a page is read. */
  private double[] limit = {};

  private short[] threshold = {};

  /**
   * For any row.
   *
   * @param row what to choose for; the caller sets it before each {@link #select}
   */
  BudgetedSelection(SelectionRow row, int threads) {
    this.row = row;
    scratch = new Scratch[threads];
    Arrays.setAll(scratch, i -> new Scratch());
  }

  /**
   * As {@link #select}, with the means of all pages, and random samples of the tokens that enter as
   * these: by inversion of their summed weights, page by page and then within the page.
   */
  void audit(PageSelection selection, Exactness.Verified wanted, WorkerPool pool) {
    select(selection, wanted.coverage(), true, pool);
    int samples = ErrorAudit.samples(wanted);
    boolean any = false;
    for (int head = 0; head < row.kvHeads(); head++) {
      if (slices[head].hasFar()) {
        slices[head].openSamples(samples);
        any = true;
      }
    }
    if (any) {
      seed = wanted.seed();
      run(Phase.SAMPLES, row.heads(), pool);
    }
  }

  /** Whether some token is not read in 8 bits. */
  private boolean leavesAny(PageSelection.Slice slice) {
    for (int e = 0; e < slice.entries(); e++) {
      if ((row.visible(e) & ~slice.fine()[e]) != 0) {
        return true;
      }
    }
    return false;
  }

  /** Adds the row's slices to {@code selection}. */
  void select(PageSelection selection, double share, WorkerPool pool) {
    select(selection, share, false, pool);
  }

  private void select(PageSelection selection, double share, boolean means, WorkerPool pool) {
    coverage = share;
    everyMean = means;
    reserve();
    for (int head = 0; head < row.kvHeads(); head++) {
      slices[head] =
          selection.add(row.row(), 1, head * row.groupHeads(), row.groupHeads(), row.view());
    }
    int chunks = row.kvHeads() * row.chunks();
    run(Phase.QUERIES, row.heads(), pool);
    run(Phase.SCAN, chunks, pool);
    run(Phase.THRESHOLDS, row.heads(), pool);
    run(Phase.LISTS, chunks, pool);
    boolean any = false;
    for (int head = 0; head < row.kvHeads(); head++) {
      if (leavesAny(slices[head])) {
        slices[head].openFar();
        any = true;
      }
    }
    if (any) {
      run(Phase.WEIGHTS, chunks, pool);
    }
  }

  private void reserve() {
    int heads = row.heads();
    tables.reserve(heads, row.keySize());
    if (stride < row.entries() * PAGE_TOKENS || sums.length < heads * stride) {
      stride =
          (row.entries() + row.entries() / 2)
                  / SelectionRow.CHUNK_ENTRIES
                  * SelectionRow.CHUNK_TOKENS
              + SelectionRow.CHUNK_TOKENS
              + PADDING;
      sums = new short[Math.multiplyExact(heads, stride)];
    }
    if (maximum.length < heads) {
      maximum = new float[heads];
      threshold = new short[heads];
      raise = new float[heads];
      limit = new double[heads];
    }
    if (slices.length < row.kvHeads()) {
      slices = new PageSelection.Slice[row.kvHeads()];
    }
    if (forcedSum.length < heads * row.chunks()) {
      forcedSum = new float[2 * heads * row.chunks()];
      forcedMaximum = new float[forcedSum.length];
      errorSum = new double[forcedSum.length];
      errorSquares = new double[forcedSum.length];
      forcedCount = new int[forcedSum.length];
    }
    for (Scratch s : scratch) {
      if (s.histogram.length < heads * bins()) {
        s.histogram = new int[heads * bins()];
      }
      if (s.binWeights.length < bins()) {
        s.binWeights = new float[bins()];
      }
      if (s.upTo.length < row.entries()) {
        s.upTo = new double[2 * row.entries()];
      }
      if (s.exactScores.length < row.groupHeads() * SelectionRow.CHUNK_TOKENS) {
        s.exactScores = new float[row.groupHeads() * SelectionRow.CHUNK_TOKENS];
        s.sketchScores = new float[row.groupHeads() * SelectionRow.CHUNK_TOKENS];
      }
    }
  }

  /** Bins of a histogram: bin b counts tokens of b − 1 steps. */
  private int bins() {
    return tables.sums() + 1;
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
        case QUERIES -> ask(item, s);
        case SCAN -> scan(item / row.chunks(), item % row.chunks(), s);
        case THRESHOLDS -> findThreshold(item, s);
        case SAMPLES -> sample(item / row.groupHeads(), item % row.groupHeads(), s);
        case LISTS -> list(item / row.chunks(), item % row.chunks());
        case WEIGHTS -> weighMeans(item / row.chunks(), item % row.chunks(), s);
      }
    }
  }

  /** Tables of a query head, and empty histograms. */
  private void ask(int head, Scratch s) {
    for (Scratch any : scratch) {
      Arrays.fill(any.histogram, head * bins(), (head + 1) * bins(), 0);
    }
    tables.build(
        head,
        row.kv().basis(row.layer(), head / row.groupHeads()),
        row.query(),
        row.queryAt(head),
        row.scale(),
        s.tables);
  }

  private void scan(int kvHead, int chunk, Scratch s) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int firstHead = kvHead * row.groupHeads();
    s.scan.scan(
        row.kv(),
        row.layer(),
        kvHead,
        row.view(),
        first,
        end,
        tables,
        firstHead,
        row.groupHeads(),
        sums,
        firstHead * stride,
        stride);
    int forced = 0;
    for (int e = first; e < end; e++) {
      int byRule = row.forced(e);
      slices[kvHead].fine()[e] = (char) byRule;
      for (int bits = byRule; bits != 0; bits &= bits - 1) {
        int token = e * PAGE_TOKENS + Integer.numberOfTrailingZeros(bits);
        for (int h = 0; h < row.groupHeads(); h++) {
          s.sketchScores[h * SelectionRow.CHUNK_TOKENS + forced] =
              sketchScore(firstHead + h, token);
        }
        s.forced[forced++] = token;
      }
      int estimated = row.visible(e) & ~byRule;
      if (estimated != 0xFFFF) {
        hide(firstHead, e, estimated);
      }
    }
    weighForced(kvHead, chunk, forced, s);
    for (int h = firstHead; h < firstHead + row.groupHeads(); h++) {
      count(
          sums,
          h * stride + first * PAGE_TOKENS,
          (end - first) * PAGE_TOKENS,
          s.histogram,
          h * bins());
    }
  }

  /** Takes the tokens of an entry that are not estimated out of the sums. */
  private void hide(int firstHead, int entry, int estimated) {
    for (int h = firstHead; h < firstHead + row.groupHeads(); h++) {
      for (int t = 0; t < PAGE_TOKENS; t++) {
        if ((estimated >> t & 1) == 0) {
          sums[h * stride + entry * PAGE_TOKENS + t] = NONE;
        }
      }
    }
  }

  /**
   * Of the chunk's forced tokens: the largest exact score, the sum of the weights, and the sums of
   * the errors that sketches make and of their squares.
   */
  private void weighForced(int kvHead, int chunk, int count, Scratch s) {
    int firstHead = kvHead * row.groupHeads();
    if (count > 0) {
      int whole = (count + PAGE_TOKENS - 1) / PAGE_TOKENS * PAGE_TOKENS;
      s.exact.ask(row, firstHead, row.groupHeads());
      for (int h = 0; h < row.groupHeads(); h++) {
        Arrays.fill(
            s.exactScores,
            h * SelectionRow.CHUNK_TOKENS + count,
            h * SelectionRow.CHUNK_TOKENS + whole,
            Float.NEGATIVE_INFINITY);
      }
      s.exact.score(
          row.kv(),
          row.view(),
          row.layer(),
          kvHead,
          s.forced,
          0,
          count,
          s.exactScores,
          0,
          SelectionRow.CHUNK_TOKENS);
      for (int h = 0; h < row.groupHeads(); h++) {
        int from = h * SelectionRow.CHUNK_TOKENS;
        int to = (firstHead + h) * row.chunks() + chunk;
        addErrors(s, from, count, to);
        forcedMaximum[to] = AttentionKernels.maximum(s.exactScores, from, from + whole);
        forcedSum[to] =
            AttentionKernels.exponentials(
                s.exactScores, from, from + whole, forcedMaximum[to], s.chains);
      }
    } else {
      for (int h = firstHead; h < firstHead + row.groupHeads(); h++) {
        forcedMaximum[h * row.chunks() + chunk] = Float.NEGATIVE_INFINITY;
        forcedSum[h * row.chunks() + chunk] = 0;
        errorSum[h * row.chunks() + chunk] = 0;
        errorSquares[h * row.chunks() + chunk] = 0;
        forcedCount[h * row.chunks() + chunk] = 0;
      }
    }
  }

  private void addErrors(Scratch s, int from, int count, int to) {
    double sum = 0;
    double squares = 0;
    for (int i = from; i < from + count; i++) {
      double error = s.exactScores[i] - (double) s.sketchScores[i];
      sum += error;
      squares += error * error;
    }
    errorSum[to] = sum;
    errorSquares[to] = squares;
    forcedCount[to] = count;
  }

  /** Half the variance of the errors of the forced tokens' sketches. */
  private double halfVariance(int head) {
    double sum = 0;
    double squares = 0;
    double count = 0;
    for (int i = head * row.chunks(); i < (head + 1) * row.chunks(); i++) {
      sum += errorSum[i];
      squares += errorSquares[i];
      count += forcedCount[i];
    }
    double mean = sum / count;
    return Math.max(0, squares / count - mean * mean) / 2;
  }

  /** Counts numbers of steps. */
  private static void count(short[] sums, int from, int count, int[] histogram, int bin) {
    int one = bin + 1;
    for (int i = from; i < from + count; i += 4) {
      histogram[one + sums[i]]++;
      histogram[one + sums[i + 1]]++;
      histogram[one + sums[i + 2]]++;
      histogram[one + sums[i + 3]]++;
    }
  }

  /** The number of steps from which on tokens are kept for a head, and its largest score. */
  private void findThreshold(int head, Scratch s) {
    int first = head * bins() + 1;
    int[] counts = scratch[0].histogram;
    for (int i = 1; i < scratch.length; i++) {
      int[] other = scratch[i].histogram;
      for (int b = first; b < first + tables.sums(); b++) {
        counts[b] += other[b];
      }
    }
    int low = 0;
    int high = tables.sums() - 1;
    while (low <= high && counts[first + low] == 0) {
      low++;
    }
    while (high > low && counts[first + high] == 0) {
      high--;
    }
    float largest = Float.NEGATIVE_INFINITY;
    for (int c = 0; c < row.chunks(); c++) {
      largest = Math.max(largest, forcedMaximum[head * row.chunks() + c]);
    }
    raise[head] = (float) halfVariance(head);
    float[] weights = s.binWeights;
    int bins = high - low + 1;
    if (bins > 0) {
      for (int b = 0; b < bins; b++) {
        weights[b] = Math.fma((float) (low + b), tables.step(head), tables.base(head));
      }
      if (row.softCap() != 0) {
        VectorMath.cap(weights, 0, bins, row.softCap());
      }
      for (int b = 0; b < bins; b++) {
        weights[b] += raise[head];
      }
      largest = Math.max(largest, weights[bins - 1]);
      for (int b = 0; b < bins; b++) {
        weights[b] -= largest;
      }
      VectorMath.exp(weights, 0, bins);
    }
    maximum[head] = largest;
    double kept = 0;
    for (int c = 0; c < row.chunks(); c++) {
      int i = head * row.chunks() + c;
      if (forcedSum[i] != 0) {
        kept += forcedSum[i] * (double) VectorMath.exp(forcedMaximum[i] - largest);
      }
    }
    int lowest = keptFrom(head, counts, first + low, weights, bins, kept);
    threshold[head] = (short) (low + lowest);
  }

  /** The lowest bin that is kept, or {@code bins}. */
  private int keptFrom(
      int head, int[] counts, int first, float[] weights, int bins, double forced) {
    double total = forced;
    for (int b = bins - 1; b >= 0; b--) {
      total += (double) counts[first + b] * weights[b];
    }
    if (!(total <= Double.MAX_VALUE)) {
      limit[head] = Double.NaN;
      return 0; // what is no number is read, and shows in the output
    }
    limit[head] = (1 - coverage) * total / row.entries();
    int lowest = bins;
    while (lowest > 0 && weights[lowest - 1] >= limit[head]) {
      lowest--;
    }
    return lowest;
  }

  private void list(int kvHead, int chunk) {
    PageSelection.Slice slice = slices[kvHead];
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int firstHead = kvHead * row.groupHeads();
    for (int h = firstHead; h < firstHead + row.groupHeads(); h++) {
      SelectionKernels.keep(
          sums, h * stride + first * PAGE_TOKENS, threshold[h], slice.fine(), first, end);
    }
  }

  private void weighMeans(int kvHead, int chunk, Scratch s) {
    PageSelection.Slice slice = slices[kvHead];
    if (!slice.hasFar()) {
      return;
    }
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int firstHead = kvHead * row.groupHeads();
    for (int h = 0; h < row.groupHeads(); h++) {
      estimate(firstHead + h, first, end, slice.fine(), s);
      slice.farLog()[h] = maximum[firstHead + h];
      TokenKernels.sum16(s.weights, 0, end - first, slice.far(), h * row.entries() + first);
    }
    if (!everyMean) {
      for (int e = first; e < end; e++) {
        leaveIfLight(slice, kvHead, e);
      }
    }
  }

  /** Leaves out the rest of a page that is light for all heads, unless its mean is no number. */
  private void leaveIfLight(PageSelection.Slice slice, int kvHead, int entry) {
    if ((row.visible(entry) & ~slice.fine()[entry]) == 0) {
      return;
    }
    boolean read = Float.isNaN(row.meanNumber(row.view().page(entry), kvHead, SelectionRow.SCALE));
    for (int h = 0; h < row.groupHeads(); h++) {
      read |= !(slice.far()[h * row.entries() + entry] < limit[kvHead * row.groupHeads() + h]);
    }
    for (int h = 0; h < row.groupHeads() && !read; h++) {
      slice.far()[h * row.entries() + entry] = 0;
    }
  }

  /** Weights of the tokens that are not read in 8 bits; 0 for the others. */
  private void estimate(int head, int first, int end, char[] fine, Scratch s) {
    int count = (end - first) * PAGE_TOKENS;
    float[] weights = s.weights;
    SelectionKernels.scores(
        sums,
        head * stride + first * PAGE_TOKENS,
        count,
        tables.step(head),
        tables.base(head),
        weights);
    if (row.softCap() != 0) {
      VectorMath.cap(weights, 0, count, row.softCap());
    }
    SelectionKernels.hide(
        sums,
        head * stride + first * PAGE_TOKENS,
        maximum[head] - raise[head],
        fine,
        first,
        end,
        weights);
    VectorMath.exp(weights, 0, count);
  }

  private void sample(int kvHead, int h, Scratch s) {
    PageSelection.Slice slice = slices[kvHead];
    int samples = slice.samples();
    if (samples == 0) {
      return;
    }
    int entries = slice.entries();
    double total = 0;
    for (int e = 0; e < entries; e++) {
      total += slice.far()[h * entries + e];
      s.upTo[e] = total;
    }
    int head = kvHead * row.groupHeads() + h;
    slice.sampledLog()[h] = (float) (maximum[head] + Math.log(total));
    for (int i = 0; i < samples; i++) {
      double wanted = total * ErrorAudit.uniform(seed, row.layer(), head, row.position(), i);
      // Weights too small for a float leave nothing to correct: any token will do.
      int entry = total > 0 ? firstAbove(s.upTo, entries, wanted) : firstFar(slice.fine());
      double before = entry == 0 ? 0 : s.upTo[entry - 1];
      int offset = choose(head, entry, slice.fine(), wanted - before, s);
      slice.sampleToken()[h * samples + i] = entry * PAGE_TOKENS + offset;
      slice.sampleLog()[h * samples + i] = estimate(head, entry * PAGE_TOKENS + offset);
    }
  }

  /** Index of the first of ascending sums that is above {@code limit}, which the last one is. */
  private static int firstAbove(double[] sums, int count, double limit) {
    int low = 0;
    int high = count - 1;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (sums[middle] > limit) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  /** The token of an entry at which the summed weights exceed {@code limit}. */
  private int choose(int head, int entry, char[] fine, double limit, Scratch s) {
    estimate(head, entry, entry + 1, fine, s);
    double sum = 0;
    int chosen = Integer.numberOfTrailingZeros(row.visible(entry) & ~fine[entry]);
    for (int t = 0; t < PAGE_TOKENS && sum <= limit; t++) {
      if (s.weights[t] > 0) {
        chosen = t;
        sum += s.weights[t];
      }
    }
    return chosen;
  }

  /** The first entry with a token that is not read in 8 bits. */
  private int firstFar(char[] fine) {
    int e = 0;
    while ((row.visible(e) & ~fine[e]) == 0) {
      e++;
    }
    return e;
  }

  /** The estimated score of a token. */
  private float estimate(int head, int token) {
    return sketchScore(head, token) + raise[head];
  }

  private float sketchScore(int head, int token) {
    float score =
        Math.fma((float) sums[head * stride + token], tables.step(head), tables.base(head));
    return row.softCap() == 0 ? score : (float) (row.softCap() * Math.tanh(score / row.softCap()));
  }
}
