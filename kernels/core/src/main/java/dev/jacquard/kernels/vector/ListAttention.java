package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * Attention of single rows over the tokens and page means that a {@link PageSelection} names: token
 * by token, for all query heads of a key/value head.
 *
 * <p>The view is cut into chunks of entries. Within a chunk tokens come in the order of the view,
 * those in 8 bits before those in 4, then page means; chunks are merged in ascending order by their
 * largest scores, as splits are in {@link AttentionStage}. So bits do not depend on threads.
 */
final class ListAttention implements Stage, WorkerPool.Task {
  /** Values that are read together. */
  private static final int BLOCK = 32;

  private final Step step;
  private final Op.Attention op;
  private final PageSelection selection;
  private final float[] query;
  private final float[] out;
  private final Workspace workspace;
  private final AttentionWorkspace failed;
  private final KvSpec.Layer layer;
  private final int groupHeads;
  private final int valueSize;
  private final int valueStride;
  private final int partSize;
  private boolean auditing;

  ListAttention(
      Step step,
      Op.Attention op,
      KvSpec.Layer layer,
      PageSelection selection,
      float[] query,
      float[] out,
      Workspace workspace,
      AttentionWorkspace failed) {
    this.layer = layer;
    this.failed = failed;
    this.step = step;
    this.op = op;
    this.selection = selection;
    this.query = query;
    this.out = out;
    this.workspace = workspace;
    groupHeads = op.heads() / layer.heads();
    valueSize = layer.valueSize();
    valueStride = Q8ValueKernels.filled(valueSize);
    partSize = groupHeads * (valueStride + 2);
  }

  /** Buffers that all such stages of an executable share; one of them runs at a time. */
  static final class Workspace {
    private final ReadingCount count = new ReadingCount();
    private final Scratch[] scratch;
    private int[] firstItem = new int[16];
    private float[] parts = {};
    private int[] counts = {};
    private int[] firstAudit = new int[16];
    private AtomicIntegerArray unfinished = new AtomicIntegerArray(16);
    private float[] totals = {};

    Workspace(int threads) {
      scratch = new Scratch[threads];
      Arrays.setAll(scratch, i -> new Scratch());
    }
  }

  /** One thread's buffers. */
  private static final class Scratch {
    final SelectionRow row = new SelectionRow();
    final TokenScores exact = new TokenScores();
    final SampleAudit audit = new SampleAudit();
    final TierReader tiers = new TierReader();
    final ListedTokens list = new ListedTokens();
    final int[] entries = new int[SelectionRow.CHUNK_ENTRIES];
    final float[] chains = new float[VectorMath.CHAINS];

    float[] weights = {};
    float[] farWeights = {};
    float[] part = {};

    /** Codes of {@link #BLOCK} values, and their scales. */
    byte[] codes = {};

    float[] scales = {};

    /** Values that are read in 4 bits. */
    float[] values = {};

    /** Of each chunk of a slice: what its part is multiplied by. */
    float[] factors = {};

    void reserve(int heads, int valueStride) {
      if (part.length < heads * (valueStride + 2)) {
        part = new float[heads * (valueStride + 2)];
      }
      if (weights.length < heads * SelectionRow.CHUNK_TOKENS) {
        weights = new float[heads * SelectionRow.CHUNK_TOKENS];
        farWeights = new float[heads * SelectionRow.CHUNK_ENTRIES];
      }
      if (values.length < BLOCK * valueStride) {
        values = new float[BLOCK * valueStride];
        codes = new byte[BLOCK * valueStride + Long.BYTES]; // the narrowest vectors read past it
        scales = new float[BLOCK * valueStride / QuantizedKv.GROUP];
      }
    }
  }

  @Override
  public void run(Step step) {
    int slices = selection.size();
    if (workspace.firstItem.length <= slices) {
      workspace.firstItem = new int[2 * slices];
      workspace.firstAudit = new int[2 * slices];
      workspace.unfinished = new AtomicIntegerArray(2 * slices);
    }
    if (workspace.totals.length < slices * partSize) {
      workspace.totals = new float[2 * slices * partSize];
    }
    failed.clearFailed(slices);
    auditing = false;
    int items = 0;
    int audits = 0;
    for (int i = 0; i < slices; i++) {
      workspace.firstItem[i] = items;
      workspace.firstAudit[i] = audits;
      PageSelection.Slice slice = selection.slice(i);
      if (slice.rows() == 1 && slice.heads() == groupHeads) {
        int chunks = chunks(slice);
        workspace.unfinished.set(i, chunks);
        items += chunks;
        audits += slice.samples() > 0 ? groupHeads : 0;
      }
    }
    workspace.firstItem[slices] = items;
    workspace.firstAudit[slices] = audits;
    if (workspace.parts.length < items * partSize) {
      workspace.parts = new float[2 * items * partSize];
    }
    if (workspace.counts.length < items * ReadingCount.NUMBERS) {
      workspace.counts = new int[2 * items * ReadingCount.NUMBERS];
    }
    step.pool().run(items, 1, this);
    if (audits > 0) {
      auditing = true;
      step.pool().run(audits, 1, this);
    }
    clearFailedBounds(slices);
    for (int i = 0; i < slices; i++) {
      int from = workspace.firstItem[i] * ReadingCount.NUMBERS;
      int to = workspace.firstItem[i + 1] * ReadingCount.NUMBERS;
      if (from < to) {
        workspace.count.add(
            step, layer, selection.slice(i), failed.failed[i], workspace.counts, from, to);
      }
    }
  }

  /** A slice that reads everything has nothing to bound. */
  private void clearFailedBounds(int slices) {
    for (int i = 0; i < slices; i++) {
      if (failed.failed[i]) {
        Arrays.fill(selection.slice(i).bound(), 0, groupHeads, 0);
      }
    }
  }

  private static int chunks(PageSelection.Slice slice) {
    return (slice.entries() + SelectionRow.CHUNK_ENTRIES - 1) / SelectionRow.CHUNK_ENTRIES;
  }

  @Override
  public void run(int from, int to, int thread) {
    Scratch s = workspace.scratch[thread];
    s.reserve(groupHeads, valueStride);
    for (int item = from; item < to; item++) {
      if (auditing) {
        int i = owner(workspace.firstAudit, item);
        audit(i, item - workspace.firstAudit[i], s);
      } else {
        attend(owner(workspace.firstItem, item), item, s);
      }
    }
  }

  /** The slice that an item belongs to. */
  private int owner(int[] firstItems, int item) {
    int i = Arrays.binarySearch(firstItems, 0, selection.size(), item);
    i = i < 0 ? -i - 2 : i;
    while (firstItems[i + 1] <= item) {
      i++;
    }
    return i;
  }

  private void attend(int index, int item, Scratch s) {
    PageSelection.Slice slice = selection.slice(index);
    s.row.begin(step, op, query, slice.firstRow());
    // The last chunk has most of the tokens that are read by rule, so it comes first.
    int chunk = chunks(slice) - 1 - (item - workspace.firstItem[index]);
    int part = workspace.firstItem[index] + chunk;
    long means = means(slice, chunk, s.row);
    attend(slice, chunk, means, s, workspace.parts, part * partSize);
    int counts = part * ReadingCount.NUMBERS;
    ReadingCount.count(s.row, slice, chunk, means, workspace.counts, counts);
    if (workspace.unfinished.decrementAndGet(index) == 0) {
      finish(slice, index, s);
    }
  }

  /** A bit for each entry of a chunk whose mean has a weight for some head. */
  private long means(PageSelection.Slice slice, int chunk, SelectionRow row) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int count = row.chunkEnd(chunk) - first;
    long bits = 0;
    for (int h = 0; slice.hasFar() && h < groupHeads; h++) {
      int at = h * slice.entries() + first;
      bits |= SelectionKernels.notBelow(slice.far(), at, count, Float.MIN_VALUE);
    }
    return bits;
  }

  /** One chunk: sums of values, maxima, and sums of weights to {@code part[at …]}. */
  private void attend(
      PageSelection.Slice slice, int chunk, long means, Scratch s, float[] part, int at) {
    int first = chunk * SelectionRow.CHUNK_ENTRIES;
    int end = s.row.chunkEnd(chunk);
    int kvHead = slice.firstHead() / groupHeads;
    if (slice.scores() != null) {
      s.tiers.read(s.row, slice, kvHead, first, end, part, at, valueStride);
      return;
    }
    s.list.clear();
    for (int e = first; e < end; e++) {
      if (slice.fine()[e] != 0) {
        s.list.add(e, slice.fine()[e] & s.row.visible(e));
      }
    }
    int fine = s.list.size();
    for (int e = first; e < end; e++) {
      if (slice.coarse()[e] != 0) {
        s.list.add(e, slice.coarse()[e] & ~slice.fine()[e] & s.row.visible(e));
      }
    }
    clear(part, at);
    if (s.list.size() > 0) {
      s.list.locate(s.row, kvHead);
      weigh(slice, s, part, at);
      addFine(fine, s, part, at);
      addCoarse(fine, s, part, at);
    }
    if (means != 0) {
      addMeans(slice, kvHead, first, means, s, part, at);
    }
  }

  /** Scores of the chunk's tokens, which then become weights. */
  private void weigh(PageSelection.Slice slice, Scratch s, float[] part, int at) {
    int count = s.list.size();
    int whole = (count + PAGE_TOKENS - 1) / PAGE_TOKENS * PAGE_TOKENS;
    s.exact.ask(s.row, slice.firstHead(), groupHeads);
    s.exact.score(s.row, s.list, s.weights, 0, SelectionRow.CHUNK_TOKENS);
    for (int h = 0; h < groupHeads; h++) {
      int from = h * SelectionRow.CHUNK_TOKENS;
      Arrays.fill(s.weights, from + count, from + whole, Float.NEGATIVE_INFINITY);
      float maximum = AttentionKernels.maximum(s.weights, from, from + whole);
      part[maxima(at) + h] = maximum;
      part[sums(at) + h] =
          AttentionKernels.exponentials(s.weights, from, from + whole, maximum, s.chains);
    }
  }

  private void addFine(int count, Scratch s, float[] part, int at) {
    Q8KvStorage kv = s.row.kv();
    int plane = Q8KvStorage.plane(valueSize);
    int groups = QuantizedKv.groups(valueSize);
    int stride = valueStride / QuantizedKv.GROUP;
    for (int i = 0; i < count; i += BLOCK) {
      int n = Math.min(BLOCK, count - i);
      for (int t = 0; t < n; t++) {
        MemorySegment memory = kv.memory(op.layer(), s.list.page(i + t));
        Q8ValueKernels.join(
            memory, s.list.value(i + t), plane, 1, s.codes, t * valueStride, valueStride);
        ListedTokens.toFloats(memory, s.list.valueScales(i + t), groups, s.scales, t * stride);
      }
      addCodes(n, s.weights, i, SelectionRow.CHUNK_TOKENS, s, part, at);
    }
  }

  /** {@code sum += weight · value} for the heads of the group and the first values of a block. */
  private void addCodes(
      int count,
      float[] weights,
      int weightsAt,
      int weightStride,
      Scratch s,
      float[] sums,
      int at) {
    Q8ValueKernels.add(
        s.codes,
        s.scales,
        valueStride,
        0,
        count,
        weights,
        weightsAt,
        weightStride,
        groupHeads,
        sums,
        at);
  }

  private void addCoarse(int from, Scratch s, float[] part, int at) {
    Q8KvStorage kv = s.row.kv();
    for (int i = from; i < s.list.size(); i += BLOCK) {
      int n = Math.min(BLOCK, s.list.size() - i);
      for (int t = 0; t < n; t++) {
        TokenKernels.expandCoarse(
            kv.memory(op.layer(), s.list.page(i + t)),
            s.list.value(i + t),
            s.list.valueScales(i + t),
            valueSize,
            s.values,
            t * valueStride);
      }
      add(s.values, n, s.weights, i, SelectionRow.CHUNK_TOKENS, part, at);
    }
  }

  /** Adds page means with their weights: a part of its own, which is merged. */
  private void addMeans(
      PageSelection.Slice slice,
      int kvHead,
      int first,
      long means,
      Scratch s,
      float[] part,
      int at) {
    int count = 0;
    for (long rest = means; rest != 0; rest &= rest - 1) {
      s.entries[count++] = first + Long.numberOfTrailingZeros(rest);
    }
    for (int h = 0; h < groupHeads; h++) {
      for (int i = 0; i < count; i++) {
        s.farWeights[h * SelectionRow.CHUNK_ENTRIES + i] =
            slice.far()[h * slice.entries() + s.entries[i]];
      }
    }
    clear(s.part, 0);
    for (int h = 0; h < groupHeads; h++) {
      s.part[maxima(0) + h] = slice.farLog()[h];
      float sum = 0;
      for (int i = 0; i < count; i++) {
        sum += s.farWeights[h * SelectionRow.CHUNK_ENTRIES + i];
      }
      s.part[sums(0) + h] = sum;
    }
    for (int i = 0; i < count; i += BLOCK) {
      int n = Math.min(BLOCK, count - i);
      for (int t = 0; t < n; ) {
        t += readMeans(kvHead, i + t, n - t, t, s);
      }
      addCodes(n, s.farWeights, i, SelectionRow.CHUNK_ENTRIES, s, s.part, 0);
    }
    merge(part, at, s.part, 0);
  }

  /**
   * The means of entry {@code i} of those with means, and of as many that follow as lie behind it
   * in memory, to value {@code t} of a block; all groups of a mean have one scale. Returns how
   * many.
   */
  private int readMeans(int kvHead, int i, int most, int t, Scratch s) {
    Q8KvStorage kv = s.row.kv();
    KvView view = s.row.view();
    int page = view.page(s.entries[i]);
    MemorySegment memory = kv.memory(op.layer(), page);
    int run = 1;
    while (run < most
        && valueSize == valueStride
        && view.page(s.entries[i + run]) == page + run
        && kv.memory(op.layer(), page + run) == memory) {
      run++;
    }
    MemorySegment.copy(
        memory,
        ValueLayout.JAVA_BYTE,
        kv.offset(Part.MEANS, op.layer(), page, kvHead),
        s.codes,
        t * valueStride,
        run * valueSize);
    int groups = valueStride / QuantizedKv.GROUP;
    int numbers = Part.MEAN_NUMBERS.bytes(layer);
    long at = kv.offset(Part.MEAN_NUMBERS, op.layer(), page, kvHead);
    for (int j = 0; j < run; j++) {
      float scale = Float.float16ToFloat(memory.get(Q8KvStorage.HALF, at + (long) j * numbers));
      for (int g = (t + j) * groups; g < (t + j + 1) * groups; g++) {
        s.scales[g] = scale;
      }
    }
    return run;
  }

  /** {@code sum += weight · value} for the heads of the group and {@code count} values. */
  private void add(
      float[] values,
      int count,
      float[] weights,
      int weightsAt,
      int weightStride,
      float[] sums,
      int at) {
    int four = 4 * Lanes.FLOATS;
    int wide = valueStride / four * four;
    int h = 0;
    for (; h + 2 <= groupHeads; h += 2) {
      int w = weightsAt + h * weightStride;
      int to = at + h * valueStride;
      AttentionKernels.add2x4(
          values, valueStride, wide, 0, count, weights, w, weightStride, sums, to);
      AttentionKernels.add2(
          values, valueStride, wide, 0, count, weights, w, weightStride, sums, to);
    }
    if (h < groupHeads) {
      AttentionKernels.add1(
          values,
          valueStride,
          0,
          count,
          weights,
          weightsAt + h * weightStride,
          sums,
          at + h * valueStride);
    }
  }

  private int maxima(int at) {
    return at + groupHeads * valueStride;
  }

  private int sums(int at) {
    return maxima(at) + groupHeads;
  }

  /** A part of nothing. */
  private void clear(float[] part, int at) {
    Arrays.fill(part, at, maxima(at), 0);
    Arrays.fill(part, maxima(at), sums(at), Float.NEGATIVE_INFINITY);
    Arrays.fill(part, sums(at), sums(at) + groupHeads, 0);
  }

  /** Adds a part to {@code total}. */
  private void merge(float[] total, int to, float[] part, int from) {
    for (int h = 0; h < groupHeads; h++) {
      float old = total[maxima(to) + h];
      float fresh = part[maxima(from) + h];
      if (fresh == Float.NEGATIVE_INFINITY) {
        continue;
      }
      float larger = Math.max(old, fresh);
      float keep = VectorMath.exp(old - larger);
      float take = VectorMath.exp(fresh - larger);
      total[maxima(to) + h] = larger;
      total[sums(to) + h] = total[sums(to) + h] * keep + part[sums(from) + h] * take;
      AttentionKernels.blend(
          total, to + h * valueStride, keep, part, from + h * valueStride, take, valueStride);
    }
  }

  /** Adds up the parts of a head, in ascending order, relative to the largest maximum. */
  private void mergeChunks(int from, int to, int h, int at, Scratch s) {
    float[] totals = workspace.totals;
    float[] parts = workspace.parts;
    int count = to - from;
    if (s.factors.length < count) {
      s.factors = new float[2 * count];
    }
    float[] factors = s.factors;
    float largest = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      factors[i] = parts[maxima((from + i) * partSize) + h];
      largest = Math.max(largest, factors[i]);
    }
    for (int i = 0; i < count; i++) {
      factors[i] -= largest;
    }
    VectorMath.exp(factors, 0, count);
    float sum = 0;
    for (int i = 0; i < count; i++) {
      int part = (from + i) * partSize;
      sum += parts[sums(part) + h] * factors[i];
      AttentionKernels.blend(
          totals, at + h * valueStride, 1, parts, part + h * valueStride, factors[i], valueStride);
    }
    totals[maxima(at) + h] = largest;
    totals[sums(at) + h] = sum;
  }

  /** Merges the chunks of a slice, and writes the row's output if there is no audit to come. */
  private void finish(PageSelection.Slice slice, int index, Scratch s) {
    float[] totals = workspace.totals;
    int at = index * partSize;
    clear(totals, at);
    for (int h = 0; h < groupHeads; h++) {
      mergeChunks(workspace.firstItem[index], workspace.firstItem[index + 1], h, at, s);
    }
    if (slice.samples() > 0) {
      return;
    }
    int to = (slice.firstRow() * op.heads() + slice.firstHead()) * valueSize;
    for (int h = 0; h < groupHeads; h++) {
      float factor = 1 / totals[sums(at) + h];
      for (int d = 0; d < valueSize; d++) {
        out[to + h * valueSize + d] = totals[at + h * valueStride + d] * factor;
      }
    }
  }

  /** Corrects one head by its samples and judges it. */
  private void audit(int index, int h, Scratch s) {
    PageSelection.Slice slice = selection.slice(index);
    if (!(step.inputs().exactness(step.inputs().sequence(slice.firstRow()))
        instanceof Exactness.Verified wanted)) {
      throw new IllegalStateException("samples for a row whose class is not VERIFIED");
    }
    s.row.begin(step, op, query, slice.firstRow());
    int at = index * partSize;
    double bound =
        s.audit.correct(
            s.row,
            slice,
            h,
            wanted.delta(),
            workspace.totals,
            at + h * valueStride,
            workspace.totals[maxima(at) + h],
            workspace.totals[sums(at) + h],
            out,
            (slice.firstRow() * op.heads() + slice.firstHead() + h) * valueSize);
    slice.bound()[h] = Math.nextUp((float) bound);
    if (!(bound <= wanted.epsilon())) {
      failed.failed[index] = true;
    }
  }
}
