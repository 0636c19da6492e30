package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;

/**
 * Reads the values that a slice of {@link dev.jacquard.kernels.Exactness.Certified} names, whose
 * scores are known. Values in 8 bits, in 4 bits and page means become rows of bytes with scales,
 * page by page in the order of the view, and are added up together for all heads: a value in 4 bits
 * is {@code 16 · upper − 128}, and 7.5 scales are added to it in the kernel. Buffers of one thread.
 */
final class TierReader {
  /** Rows that are added together: they stay in the first-level cache. */
  private static final int ROWS = 64;

  /** What the middle of 16 codes is more than the first. */
  private static final float MIDDLE = 7.5f;

  private final float[] chains = new float[VectorMath.EXP_CHAINS];
  private final int[] tokens = new int[ROWS];
  private final boolean[] mean = new boolean[ROWS];
  private int rows;
  private byte[] codes = {};
  private float[] scales = {};
  private float[] biases = {};
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
      scales = new float[ROWS * groups];
      biases = new float[ROWS * groups];
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
    Arrays.fill(biases, 0);
    for (int e = first; e < end; e++) {
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

  /** Adds what an entry's page gives to the rows. */
  private void take(SelectionRow row, int kvHead, int e, int fine, int coarse, boolean far) {
    if ((fine | coarse) == 0 && !far) {
      return;
    }
    Q8KvStorage kv = row.kv();
    int page = row.view().page(e);
    MemorySegment memory = kv.memory(row.layer(), page);
    int plane = Q8KvStorage.plane(row.valueSize());
    int scaleBytes = Short.BYTES * QuantizedKv.groups(row.valueSize());
    long planes = kv.offset(Part.VALUES, row.layer(), page, kvHead);
    long scalesAt = kv.offset(Part.VALUE_SCALES, row.layer(), page, kvHead);
    for (int rest = fine | coarse; rest != 0; rest &= rest - 1) {
      int t = Integer.numberOfTrailingZeros(rest);
      long from = planes + 2L * plane * t;
      readScales(memory, scalesAt + (long) scaleBytes * t, scaleBytes / Short.BYTES);
      if ((fine >> t & 1) != 0) {
        Q8ValueKernels.join(memory, from, plane, 1, codes, rows * size, size);
      } else {
        Q8ValueKernels.joinUpper(memory, from, plane, codes, rows * size);
        bias();
      }
      tokens[rows] = e * PAGE_TOKENS + t;
      mean[rows] = false;
      rows++;
    }
    if (far) {
      long numbers = kv.offset(Part.MEAN_NUMBERS, row.layer(), page, kvHead);
      float scale = Float.float16ToFloat(memory.get(Q8KvStorage.HALF, numbers));
      Arrays.fill(scales, rows * groups, (rows + 1) * groups, scale);
      MemorySegment.copy(
          memory,
          ValueLayout.JAVA_BYTE,
          kv.offset(Part.MEANS, row.layer(), page, kvHead),
          codes,
          rows * size,
          row.valueSize());
      tokens[rows] = e;
      mean[rows] = true;
      rows++;
    }
  }

  private void readScales(MemorySegment memory, long at, int count) {
    int to = rows * groups;
    for (int g = 0; g < count; g++) {
      scales[to + g] =
          Float.float16ToFloat(memory.get(Q8KvStorage.HALF, at + (long) g * Short.BYTES));
    }
  }

  private void bias() {
    for (int g = rows * groups; g < (rows + 1) * groups; g++) {
      biases[g] = MIDDLE * scales[g];
    }
  }

  private void addRows(PageSelection.Slice slice) {
    if (rows == 0) {
      return;
    }
    for (int h = 0; h < heads; h++) {
      weigh(slice, h);
    }
    int h = 0;
    for (; h + 4 <= heads; h += 4) {
      TierKernels.add4x4(
          codes, scales, biases, size, rows, weights, h * ROWS, ROWS, sums, h * size);
    }
    for (; h < heads; h++) {
      TierKernels.add1x1(codes, scales, biases, size, rows, weights, h * ROWS, sums, h * size);
    }
    Arrays.fill(biases, 0, rows * groups, 0);
    rows = 0;
  }

  private void weigh(PageSelection.Slice slice, int h) {
    float[] scores = Objects.requireNonNull(slice.scores());
    int scoresAt = h * slice.scoreStride();
    int at = h * ROWS;
    for (int r = 0; r < rows; r++) {
      weights[at + r] = mean[r] ? Float.NEGATIVE_INFINITY : scores[scoresAt + tokens[r]];
    }
    int whole = (rows + VectorMath.EXP_CHAINS - 1) / VectorMath.EXP_CHAINS * VectorMath.EXP_CHAINS;
    Arrays.fill(weights, at + rows, at + whole, Float.NEGATIVE_INFINITY);
    float sum = AttentionKernels.exponentials(weights, at, at + whole, maxima[h], chains);
    for (int r = 0; r < rows; r++) {
      if (mean[r]) {
        weights[at + r] = slice.far()[h * slice.entries() + tokens[r]];
        sum += weights[at + r];
      }
    }
    total[h] += sum;
  }
}
