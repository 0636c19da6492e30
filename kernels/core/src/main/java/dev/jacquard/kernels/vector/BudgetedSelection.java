package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.ErrorAudit;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.kernels.parallel.WorkerPool;
import java.util.Arrays;

/**
 * The list of {@link dev.jacquard.kernels.Exactness.Budgeted} for one row: tokens that are heavy by
 * the weight that sketches estimate, and weights of page means for the rest.
 *
 * <p>Sketch scores are whole numbers of steps ({@link SketchTables}), so the limit of a weight is
 * one of a whole number too. The weights of pages, relative to the largest score of their chunk,
 * are sums of the same exponentials that give the total. A row is worked through in loops over
 * heads or over chunks of pages; each of them needs all that the one before has found.
 */
final class BudgetedSelection implements WorkerPool.Task {
  /** Stands for a token that is forced or not visible: below every sum of steps. */
  private static final short NONE = -1;

  /** Rows that lie a power of two apart would share lines of the first-level cache. */
  private static final int PADDING = 96;

  /** Channels of a basis that a thread takes at a time; even. */
  private static final int CHANNELS = 32;

  /**
   * More than a page's weight, a sum of rounded exponentials, may be below that of one of its
   * tokens, which decides by its own exponential.
   */
  private static final float ROUNDING = 1e-4f;

  /** Numbers of a chunk and head in {@link #parts}. */
  private static final int NUMBERS = 8;

  /** The largest exact score of a forced token, and the weight of all relative to it. */
  private static final int FORCED_LOG = 0;

  private static final int FORCED_SUM = 1;

  /** The largest estimated score, and the weight relative to it. */
  private static final int CHUNK_LOG = 2;

  private static final int CHUNK_SUM = 3;

  /** Errors of the sketches of forced tokens: their sum, that of their squares, their number. */
  private static final int ERROR_SUM = 4;

  private static final int ERROR_SQUARES = 5;
  private static final int ERROR_COUNT = 6;

  /** Entries of a chunk. */
  private static final int[] ALL = new int[SelectionRow.CHUNK_ENTRIES];

  static {
    Arrays.setAll(ALL, i -> i);
  }

  private enum Phase {
    BALANCE,
    TABLES,
    SCAN,
    LIMITS,
    LISTS,
    SAMPLES
  }

  /** Buffers of a thread. */
  private static final class Scratch {
    final SketchTables.Scratch tables = new SketchTables.Scratch();
    final EntryScan scan = new EntryScan();
    final TokenScores exact = new TokenScores();
    final ListedTokens forced = new ListedTokens();
    final char[] byRule = new char[SelectionRow.CHUNK_ENTRIES];

    /** Entries with tokens that are read by their weight, and others that are not read. */
    final int[] mixed = new int[SelectionRow.CHUNK_ENTRIES];

    final float[] weights = new float[SelectionRow.CHUNK_TOKENS];
    final float[] page = new float[PAGE_TOKENS];
    final float[] pages = new float[SelectionRow.CHUNK_ENTRIES];
    final float[] chains = new float[VectorMath.CHAINS];

    float[] exactScores = {};
    float[] sketchScores = {};
    double[] upTo = {};
  }

  private final SelectionRow row;
  private final SketchTables tables = new SketchTables();
  private final Scratch[] scratch;
  private Phase phase = Phase.BALANCE;
  private PageSelection.Slice[] slices = {};
  private double coverage;
  private boolean everyMean;
  private long seed;
  private int stride;
  private short[] sums = {};

  /**
   * What is known of each chunk and head, {@link #NUMBERS} apart and chunk by chunk: neighbours in
   * a line of the caches that two threads write would wait for each other.
   */
  private double[] parts = {};

  /** Of each head and entry: the estimated weight, relative to {@link #CHUNK_LOG}. */
  private float[] pageSums = {};

  private float[] maximum = {};

  /** Of each head: what is added to the scores of sketches, half the variance of their error. */
  private float[] raise = {};

  /** Of each head: the weight from which on the rest of a page is read; NaN if any is. */
  private float[] limit = {};

  /** Of each head: the same for a token, in steps. */
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
      if (leavesAny(slices[head])) {
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
    run(Phase.BALANCE, row.kvHeads() * blocks(), pool);
    run(Phase.TABLES, row.heads(), pool);
    run(Phase.SCAN, chunks, pool);
    run(Phase.LIMITS, row.heads(), pool);
    for (int head = 0; head < row.kvHeads(); head++) {
      slices[head].openFar();
    }
    run(Phase.LISTS, chunks, pool);
    for (int head = 0; head < row.kvHeads(); head++) {
      if (!leavesAny(slices[head])) {
        slices[head].closeFar();
      }
    }
  }

  /** Blocks of channels of a basis. */
  private int blocks() {
    return (row.keySize() + CHANNELS - 1) / CHANNELS;
  }

  private void reserve() {
    int heads = row.heads();
    tables.reserve(heads, row.keySize());
    if (stride < row.entries() * PAGE_TOKENS || sums.length < (long) heads * stride) {
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
      raise = new float[heads];
      limit = new float[heads];
      threshold = new short[heads];
    }
    if (slices.length < row.kvHeads()) {
      slices = new PageSelection.Slice[row.kvHeads()];
    }
    int numbers = heads * row.chunks() * NUMBERS;
    if (parts.length < numbers) {
      parts = new double[2 * numbers];
    }
    if (pageSums.length < heads * row.entries()) {
      pageSums = new float[2 * heads * row.entries()];
    }
    for (Scratch s : scratch) {
      reserve(s);
    }
  }

  /** Where the numbers of a chunk and head start. */
  private int part(int chunk, int head) {
    return (chunk * row.heads() + head) * NUMBERS;
  }

  private void reserve(Scratch s) {
    if (s.upTo.length < row.entries()) {
      s.upTo = new double[2 * row.entries()];
    }
    if (s.exactScores.length < row.groupHeads() * SelectionRow.CHUNK_TOKENS) {
      s.exactScores = new float[row.groupHeads() * SelectionRow.CHUNK_TOKENS];
      s.sketchScores = new float[row.groupHeads() * SelectionRow.CHUNK_TOKENS];
    }
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
        case BALANCE -> balance(item / blocks(), item % blocks(), s);
        case TABLES -> build(item, s);
        case SCAN -> scan(item % row.kvHeads(), chunk(item), s);
        case LIMITS -> findLimit(item);
        case LISTS -> list(item % row.kvHeads(), chunk(item), s);
        case SAMPLES -> sample(item / row.groupHeads(), item % row.groupHeads(), s);
      }
    }
  }

  /**
   * The chunk of an item: the last, which has most of the forced tokens, comes first; in all loops
   * alike, so that a core finds the sums of its chunks in its own cache.
   */
  private int chunk(int item) {
    return row.chunks() - 1 - item / row.kvHeads();
  }

  private void balance(int kvHead, int block, Scratch s) {
    SketchBasis basis = row.kv().basis(row.layer(), kvHead);
    int first = kvHead * row.groupHeads();
    int from = Math.min(basis.channels(), block * CHANNELS);
    int to = Math.min(basis.channels(), from + CHANNELS);
    tables.balance(
        first, row.groupHeads(), basis, row.query(), row.queryAt(first), from, to, s.tables);
  }

  private void build(int head, Scratch s) {
    tables.buildBalanced(
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
    s.forced.clear();
    for (int e = first; e < end; e++) {
      if (row.free(e)) {
        continue;
      }
      int byRule = row.forced(e);
      slices[kvHead].fine()[e] = (char) byRule;
      int before = s.forced.size();
      s.forced.add(e, byRule);
      for (int i = before; i < s.forced.size(); i++) {
        for (int h = 0; h < row.groupHeads(); h++) {
          s.sketchScores[h * SelectionRow.CHUNK_TOKENS + i] =
              score(firstHead + h, sums[(firstHead + h) * stride + s.forced.token(i)]);
        }
      }
      int estimated = row.visible(e) & ~byRule;
      if (estimated != 0xFFFF) {
        hide(firstHead, e, estimated);
      }
    }
    weighForced(kvHead, chunk, s);
    for (int h = firstHead; h < firstHead + row.groupHeads(); h++) {
      estimate(kvHead, h, chunk, s);
    }
  }

  /** The weights of a chunk's pages relative to its largest score. */
  private void estimate(int kvHead, int head, int chunk, Scratch s) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int at = head * stride + first * PAGE_TOKENS;
    int count = (end - first) * PAGE_TOKENS;
    int part = part(chunk, head);
    short most = SelectionKernels.largest(sums, at, count);
    float log = most < 0 ? Float.NEGATIVE_INFINITY : score(head, most);
    parts[part + CHUNK_LOG] = log;
    parts[part + CHUNK_SUM] = 0;
    if (most < 0) {
      return;
    }
    weigh(head, ALL, end - first, first, slices[kvHead].fine(), log, s);
    TokenKernels.sum16(s.weights, 0, end - first, s.pages, 0);
    System.arraycopy(s.pages, 0, pageSums, head * row.entries() + first, end - first);
    Arrays.fill(s.pages, end - first, SelectionRow.CHUNK_ENTRIES, 0);
    parts[part + CHUNK_SUM] = VectorMath.pairwiseSum(s.pages, SelectionRow.CHUNK_ENTRIES);
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
  private void weighForced(int kvHead, int chunk, Scratch s) {
    int firstHead = kvHead * row.groupHeads();
    int count = s.forced.size();
    int whole = Math.max(1, (count + PAGE_TOKENS - 1) / PAGE_TOKENS) * PAGE_TOKENS;
    if (count > 0) {
      s.exact.ask(row, firstHead, row.groupHeads());
      s.forced.locate(row.kv(), row.view(), row.layer(), kvHead, false);
      s.exact.score(row, s.forced, s.exactScores, 0, SelectionRow.CHUNK_TOKENS);
    }
    for (int h = 0; h < row.groupHeads(); h++) {
      int from = h * SelectionRow.CHUNK_TOKENS;
      int to = part(chunk, firstHead + h);
      addErrors(s, from, count, to);
      Arrays.fill(s.exactScores, from + count, from + whole, Float.NEGATIVE_INFINITY);
      float log = AttentionKernels.maximum(s.exactScores, from, from + whole);
      parts[to + FORCED_LOG] = log;
      parts[to + FORCED_SUM] =
          AttentionKernels.exponentials(s.exactScores, from, from + whole, log, s.chains);
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
    parts[to + ERROR_SUM] = sum;
    parts[to + ERROR_SQUARES] = squares;
    parts[to + ERROR_COUNT] = count;
  }

  /** Half the variance of the errors of the forced tokens' sketches. */
  private double halfVariance(int head) {
    double sum = 0;
    double squares = 0;
    double count = 0;
    for (int chunk = 0; chunk < row.chunks(); chunk++) {
      int part = part(chunk, head);
      sum += parts[part + ERROR_SUM];
      squares += parts[part + ERROR_SQUARES];
      count += parts[part + ERROR_COUNT];
    }
    double mean = sum / count;
    return Math.max(0, squares / count - mean * mean) / 2;
  }

  /** What a sketch says of a score. */
  private float score(int head, int steps) {
    float score = Math.fma((float) steps, tables.step(head), tables.base(head));
    return row.softCap() == 0
        ? score
        : (float) (row.softCap() * Math.tanh(score / row.softCap())) + 0 * score;
  }

  /**
   * Weights, relative to {@code e^log}, of the estimated tokens of some entries that are not read
   * in 8 bits, 0 for the others.
   *
   * @param entries their distances from entry {@code first}; entry i to {@code s.weights[i ·
   *     PAGE_TOKENS …]}
   */
  private void weigh(
      int head, int[] entries, int count, int first, char[] fine, float log, Scratch s) {
    int at = head * stride + first * PAGE_TOKENS;
    float step = tables.step(head);
    float base = tables.base(head);
    if (row.softCap() == 0) {
      SelectionKernels.weigh(sums, at, entries, count, fine, first, step, base, log, s.weights);
      return;
    }
    float[] page = s.page;
    for (int i = 0; i < count; i++) {
      int entry = first + entries[i];
      int from = head * stride + entry * PAGE_TOKENS;
      SelectionKernels.scores(sums, from, PAGE_TOKENS, step, base, page);
      VectorMath.cap(page, 0, PAGE_TOKENS, row.softCap());
      SelectionKernels.hide(sums, from, log, fine, entry, entry + 1, page);
      System.arraycopy(page, 0, s.weights, i * PAGE_TOKENS, PAGE_TOKENS);
    }
    VectorMath.exp(s.weights, 0, count * PAGE_TOKENS);
  }

  /** The weight from which on a head wants to read, and its largest score. */
  private void findLimit(int head) {
    float raised = (float) halfVariance(head);
    float largest = Float.NEGATIVE_INFINITY;
    for (int chunk = 0; chunk < row.chunks(); chunk++) {
      int part = part(chunk, head);
      float forced = (float) parts[part + FORCED_LOG];
      largest = Math.max(largest, Math.max(forced, (float) parts[part + CHUNK_LOG] + raised));
    }
    raise[head] = raised;
    maximum[head] = largest;
    double total = 0;
    for (int chunk = 0; chunk < row.chunks(); chunk++) {
      int part = part(chunk, head);
      total += weight(parts[part + FORCED_SUM], (float) parts[part + FORCED_LOG] - largest);
      float log = (float) parts[part + CHUNK_LOG] + raised;
      total += weight(parts[part + CHUNK_SUM], log - largest);
    }
    double tolerance = row.kv().basis(row.layer(), head / row.groupHeads()).tolerance();
    // What is no number is read, and shows in the output.
    double least =
        total <= Double.MAX_VALUE ? tolerance * (1 - coverage) * total / row.entries() : Double.NaN;
    threshold[head] = (short) firstNotBelow(head, least);
    // A float is below the limit if and only if it is below the next float.
    limit[head] = (float) least < least ? Math.nextUp((float) least) : (float) least;
  }

  private static double weight(double sum, float log) {
    return sum == 0 ? 0 : sum * VectorMath.exp(log);
  }

  /** The fewest steps whose weight is not below a limit; one more than there are for none. */
  private int firstNotBelow(int head, double least) {
    int low = 0;
    int high = tables.sums();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (VectorMath.exp(score(head, middle) + raise[head] - maximum[head]) < least) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  private void list(int kvHead, int chunk, Scratch s) {
    PageSelection.Slice slice = slices[kvHead];
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = row.chunkEnd(chunk);
    int firstHead = kvHead * row.groupHeads();
    char[] fine = slice.fine();
    System.arraycopy(fine, first, s.byRule, 0, end - first);
    for (int h = 0; h < row.groupHeads(); h++) {
      weighPages(slice, firstHead + h, h, chunk);
      keep(slice, firstHead + h, h, first, end);
    }
    long rest = 0;
    int mixed = 0;
    for (int e = first; e < end; e++) {
      if ((row.visible(e) & ~fine[e]) != 0) {
        rest |= 1L << (e - first);
        if (fine[e] != s.byRule[e - first]) {
          s.mixed[mixed++] = e - first;
        }
      }
    }
    long heavy = everyMean ? -1 : meansWithoutNumber(kvHead, first, end);
    for (int h = 0; h < row.groupHeads(); h++) {
      weighMixed(slice, firstHead + h, h, chunk, mixed, s);
      int at = h * row.entries() + first;
      heavy |= SelectionKernels.notBelow(slice.far(), at, end - first, limit[firstHead + h]);
    }
    for (int h = 0; h < row.groupHeads(); h++) {
      int at = h * row.entries() + first;
      SelectionKernels.keepMeans(slice.far(), at, end - first, rest & heavy);
    }
  }

  /** A bit for each entry whose mean is no number: it is read, so that it shows in the output. */
  private long meansWithoutNumber(int kvHead, int first, int end) {
    long bits = 0;
    for (int e = first; row.kv().anyMeanIsNoNumber() && e < end; e++) {
      if (Float.isNaN(row.meanNumber(row.view().page(e), kvHead, SelectionRow.SCALE))) {
        bits |= 1L << (e - first);
      }
    }
    return bits;
  }

  /** Weights of whole pages. */
  private void weighPages(PageSelection.Slice slice, int head, int h, int chunk) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int count = row.chunkEnd(chunk) - first;
    float log = (float) parts[part(chunk, head) + CHUNK_LOG];
    slice.farLog()[h] = maximum[head];
    int to = h * row.entries() + first;
    if (log == Float.NEGATIVE_INFINITY) {
      Arrays.fill(slice.far(), to, to + count, 0);
      return;
    }
    float factor = VectorMath.exp(log + raise[head] - maximum[head]);
    int from = head * row.entries() + first;
    float[] far = slice.far();
    for (int i = 0; i < count; i++) {
      far[to + i] = pageSums[from + i] * factor;
    }
  }

  /** Lists a head's heavy tokens: only pages that weigh as much can have one. */
  private void keep(PageSelection.Slice slice, int head, int h, int first, int end) {
    float least = limit[head] * (1 - ROUNDING);
    int at = h * row.entries() + first;
    long pages = SelectionKernels.notBelow(slice.far(), at, end - first, least);
    for (; pages != 0; pages &= pages - 1) {
      int e = first + Long.numberOfTrailingZeros(pages);
      slice.fine()[e] |=
          SelectionKernels.notBelow(sums, head * stride + e * PAGE_TOKENS, threshold[head]);
    }
  }

  /** Weighs pages anew that tokens were taken out of. */
  private void weighMixed(
      PageSelection.Slice slice, int head, int h, int chunk, int mixed, Scratch s) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    float log = (float) parts[part(chunk, head) + CHUNK_LOG];
    if (log == Float.NEGATIVE_INFINITY) {
      return;
    }
    float factor = VectorMath.exp(log + raise[head] - maximum[head]);
    weigh(head, s.mixed, mixed, first, slice.fine(), log, s);
    TokenKernels.sum16(s.weights, 0, mixed, s.pages, 0);
    for (int i = 0; i < mixed; i++) {
      slice.far()[h * row.entries() + first + s.mixed[i]] = s.pages[i] * factor;
    }
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
      slice.sampleLog()[h * samples + i] =
          score(head, sums[head * stride + entry * PAGE_TOKENS + offset]) + raise[head];
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
    weigh(head, ALL, 1, entry, fine, maximum[head] - raise[head], s);
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
}
