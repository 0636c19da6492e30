package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;

/**
 * Reads the values that a slice of {@link dev.jacquard.kernels.Exactness.Certified} names, whose
 * scores are known. Values in 8 bits, in 4 bits and page means become rows of bytes with scales,
 * page by page in the order of the view, and the kernels of dense attention add them up for all
 * heads. Buffers of one thread.
 */
final class TierReader {
  /** Rows that are added together: they stay in the first-level cache. */
  private static final int ROWS = 64;

  /** Entries whose lines are read ahead: they stay in the first-level cache, too. */
  private static final int AHEAD = 16;

  private final ReadAhead ahead = new ReadAhead();
  private final float[] chains = new float[VectorMath.EXP_CHAINS];

  /** The token of each row, in the order of its slice's scores. */
  private final int[] tokens = new int[ROWS];

  /** Rows that are page means, and the entries of these pages. */
  private final int[] meanRows = new int[ROWS];

  private final int[] meanEntries = new int[ROWS];
  private int rows;
  private int means;
  private byte[] codes = {};
  private short[] halves = {};
  private float[] scales = {};
  private float[] weights = {};
  private float[] sums = {};
  private float[] total = {};
  private float[] maxima = {};
  private int size;
  private int groups;
  private int heads;

  private void reserve(SelectionRow row) {
    heads = row.groupHeads();
    size = Q8ValueKernels.filled(row.valueSize());
    groups = size / QuantizedKv.GROUP;
    if (codes.length < ROWS * size + Long.BYTES) {
      codes = new byte[ROWS * size + Long.BYTES];
      halves = new short[ROWS * groups];
      scales = new float[ROWS * groups];
    }
    if (weights.length < heads * ROWS) {
      weights = new float[heads * ROWS];
      total = new float[heads];
      maxima = new float[heads];
    }
    if (sums.length < heads * size) {
      sums = new float[heads * size];
    }
  }

  /**
   * Sums over entries {@code first} to {@code end} − 1: of values to {@code part[at + h · stride
   * …]}, then, behind those of all heads, the largest score that weights are relative to, then the
   * sums of weights.
   */
  void read(
      SelectionRow row,
      PageSelection.Slice slice,
      int kvHead,
      int first,
      int end,
      float[] part,
      int at,
      int stride) {
    reserve(row);
    Arrays.fill(sums, 0, heads * size, 0);
    Arrays.fill(total, 0, heads, 0);
    findMaxima(row, slice, first, end);
    rows = 0;
    means = 0;
    for (int e = first; e < end; e++) {
      if ((e - first) % AHEAD == 0) {
        readAhead(row, slice, kvHead, e, Math.min(end, e + AHEAD));
      }
      int seen = row.visible(e);
      int fine = slice.fine()[e] & seen;
      int coarse = slice.coarse()[e] & seen & ~fine;
      boolean far = slice.hasFar() && (seen & ~fine & ~coarse) != 0;
      if (rows + Integer.bitCount(fine | coarse) + 1 > ROWS) {
        addRows(slice);
      }
      take(row, kvHead, e, fine, coarse, far);
    }
    addRows(slice);
    for (int h = 0; h < heads; h++) {
      System.arraycopy(sums, h * size, part, at + h * stride, stride);
      part[at + heads * stride + h] = maxima[h];
      part[at + heads * (stride + 1) + h] = total[h];
    }
  }

  /** Touches what {@link #take} will jump to. */
  private void readAhead(
      SelectionRow row, PageSelection.Slice slice, int kvHead, int first, int end) {
    Q8KvStorage kv = row.kv();
    int plane = Q8KvStorage.plane(row.valueSize());
    int scaleBytes = Short.BYTES * QuantizedKv.groups(row.valueSize());
    ahead.reserve(AHEAD * PAGE_TOKENS * (2 * plane / ReadAhead.LINE + 3));
    MemorySegment memory = kv.memory(row.layer(), row.view().page(first));
    for (int e = first; e < end; e++) {
      int page = row.view().page(e);
      if (kv.memory(row.layer(), page) != memory) {
        ahead.touch(memory);
        memory = kv.memory(row.layer(), page);
      }
      long planes = kv.offset(Part.VALUES, row.layer(), page, kvHead);
      long scalesAt = kv.offset(Part.VALUE_SCALES, row.layer(), page, kvHead);
      int fine = slice.fine()[e];
      for (int rest = (fine | slice.coarse()[e]); rest != 0; rest &= rest - 1) {
        int t = Integer.numberOfTrailingZeros(rest);
        ahead.add(planes + 2L * plane * t, (fine >> t & 1) != 0 ? 2 * plane : plane);
        ahead.add(scalesAt + (long) scaleBytes * t, scaleBytes);
      }
    }
    ahead.touch(memory);
  }

  /** What weights are relative to: what the page means' are, or the largest of the chunk. */
  private void findMaxima(SelectionRow row, PageSelection.Slice slice, int first, int end) {
    float[] scores = Objects.requireNonNull(slice.scores());
    for (int h = 0; h < heads; h++) {
      if (slice.hasFar()) {
        maxima[h] = slice.farLog()[h];
        continue;
      }
      maxima[h] = Float.NEGATIVE_INFINITY;
      for (int e = first; e < end; e++) {
        int read = (slice.fine()[e] | slice.coarse()[e]) & row.visible(e);
        for (; read != 0; read &= read - 1) {
          int token = e * PAGE_TOKENS + Integer.numberOfTrailingZeros(read);
          maxima[h] = Math.max(maxima[h], scores[h * slice.scoreStride() + token]);
        }
      }
    }
  }

  /**
   * Puts what is read of an entry's page behind the rows: values in 8 bits and in 4, by position,
   * then the mean.
   */
  private void take(SelectionRow row, int kvHead, int e, int fine, int coarse, boolean far) {
    Q8KvStorage kv = row.kv();
    int page = row.view().page(e);
    MemorySegment memory = kv.memory(row.layer(), page);
    int plane = Q8KvStorage.plane(row.valueSize());
    int valueGroups = QuantizedKv.groups(row.valueSize());
    long planes = kv.offset(Part.VALUES, row.layer(), page, kvHead);
    long scalesAt = kv.offset(Part.VALUE_SCALES, row.layer(), page, kvHead);
    for (int rest = fine | coarse; rest != 0; rest &= rest - 1) {
      int t = Integer.numberOfTrailingZeros(rest);
      long from = planes + 2L * plane * t;
      for (int g = 0; g < valueGroups; g++) {
        halves[rows * groups + g] =
            memory.get(Q8KvStorage.HALF, scalesAt + (long) Short.BYTES * (valueGroups * t + g));
      }
      if ((fine >> t & 1) != 0) {
        Q8ValueKernels.join(memory, from, plane, 1, codes, rows * size, size);
      } else {
        Q8ValueKernels.joinUpper(memory, from, plane, codes, rows * size);
      }
      tokens[rows++] = e * PAGE_TOKENS + t;
    }
    if (far) {
      short scale =
          memory.get(Q8KvStorage.HALF, kv.offset(Part.MEAN_NUMBERS, row.layer(), page, kvHead));
      for (int g = 0; g < groups; g++) {
        halves[rows * groups + g] = scale;
      }
      long meansAt = kv.offset(Part.MEANS, row.layer(), page, kvHead);
      Q8ValueKernels.copy(memory, meansAt, row.valueSize(), codes, rows * size);
      meanRows[means] = rows;
      meanEntries[means++] = e;
      tokens[rows++] = e * PAGE_TOKENS;
    }
  }

  /** Adds the rows, times their weights, to the sums of all heads, and forgets them. */
  private void addRows(PageSelection.Slice slice) {
    if (rows == 0) {
      return;
    }
    TierKernels.toFloats(halves, rows * groups, scales);
    for (int h = 0; h < heads; h++) {
      weigh(slice, h);
    }
    Q8ValueKernels.add(codes, scales, size, 0, rows, weights, 0, ROWS, heads, sums, 0);
    rows = 0;
    means = 0;
  }

  /** Weights of the rows for a head: of tokens by their scores, of page means as they are. */
  private void weigh(PageSelection.Slice slice, int h) {
    float[] scores = Objects.requireNonNull(slice.scores());
    int at = h * ROWS;
    int whole = (rows + VectorMath.EXP_CHAINS - 1) / VectorMath.EXP_CHAINS * VectorMath.EXP_CHAINS;
    Arrays.fill(tokens, rows, whole, tokens[0]);
    TierKernels.gather(scores, h * slice.scoreStride(), tokens, whole, weights, at);
    Arrays.fill(weights, at + rows, at + whole, Float.NEGATIVE_INFINITY);
    for (int i = 0; i < means; i++) {
      weights[at + meanRows[i]] = Float.NEGATIVE_INFINITY;
    }
    float sum = AttentionKernels.exponentials(weights, at, at + whole, maxima[h], chains);
    for (int i = 0; i < means; i++) {
      float far = slice.far()[h * slice.entries() + meanEntries[i]];
      weights[at + meanRows[i]] = far;
      sum += far;
    }
    total[h] += sum;
  }
}
