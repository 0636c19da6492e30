package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.ErrorAudit;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * What the samples of {@link dev.jacquard.kernels.Exactness.Verified} say of one query head: they
 * correct its sums without bias, and their spread bounds the error that is left. With {@code r =
 * exp(exact score − estimated score)} of a sampled token, {@code x = r·v − mean of its page} and
 * {@code y = r − 1} are what its part of numerator and denominator lacks, for each unit of
 * estimated weight. Samples are read twice instead of being remembered. Buffers of one thread.
 */
final class SampleAudit {
  /** Scores and outputs are rounded once more than sums in double would be. */
  private static final double HALF_ULP = 0x1p-24;

  private final TokenScores exact = new TokenScores();
  private final ValueDiameter diameter = new ValueDiameter();
  private final ListedTokens list = new ListedTokens();
  private float[] scores = {};
  private float[] value = {};
  private float[] mean = {};
  private double[] total = {};
  private double[] sum = {};
  private double[] squares = {};

  /**
   * Corrects a head's output.
   *
   * @param h the head, in its slice
   * @param sums numbers of the numerator at {@code sums[at …]}, relative to e^log
   * @param weights the denominator
   * @param out receives the corrected quotient at {@code out[to …]}
   * @return the bound of the error, divided by the diameter of the values; NaN or infinite if there
   *     is none
   */
  double correct(
      SelectionRow row,
      PageSelection.Slice slice,
      int h,
      double delta,
      float[] sums,
      int at,
      float log,
      float weights,
      float[] out,
      int to) {
    int n = slice.samples();
    int size = row.valueSize();
    int kvHead = slice.firstHead() / row.groupHeads();
    reserve(n, size);
    list.clear();
    for (int i = h * n; i < (h + 1) * n; i++) {
      int token = slice.sampleToken()[i];
      list.add(token / PAGE_TOKENS, 1 << token % PAGE_TOKENS);
    }
    list.locateKeys(row, kvHead);
    exact.ask(row, slice.firstHead() + h, 1);
    exact.score(row, list, scores, 0, n);
    double share = Math.exp(slice.sampledLog()[h] - (double) log);
    double lack = 0;
    double largest = 0;
    Arrays.fill(sum, 0, size, 0);
    for (int i = 0; i < n; i++) {
      double estimated = slice.sampleLog()[h * n + i];
      double ratio = Math.exp(scores[i] - estimated);
      read(row, kvHead, list.token(i));
      add(ratio, size);
      lack += ratio - 1;
      largest = Math.max(largest, Math.max(Math.abs(scores[i]), Math.abs(estimated)));
    }
    double denominator = weights + share / n * lack;
    double length = 0;
    for (int c = 0; c < size; c++) {
      total[c] = (sums[at + c] + share / n * sum[c]) / denominator;
      sum[c] = (sum[c] - total[c] * lack) / n;
      length += total[c] * total[c];
      out[to + c] = (float) total[c];
    }
    Arrays.fill(squares, 0, size, 0);
    for (int i = 0; i < n; i++) {
      read(row, kvHead, list.token(i));
      addSquares(Math.exp(scores[i] - (double) slice.sampleLog()[h * n + i]), size);
    }
    double variance = 0;
    for (int c = 0; c < size; c++) {
      variance += squares[c];
    }
    double error = share / denominator * Math.sqrt(variance / ((double) n * (n - 1)));
    double breadth = diameter.of(row, kvHead);
    return denominator > 0
        ? ErrorAudit.deviations(delta) * error / breadth
            + HALF_ULP * (2 * (largest + 2) + Math.sqrt(length) / breadth)
        : Double.NaN;
  }

  private void reserve(int n, int size) {
    if (scores.length < n) {
      scores = new float[n];
    }
    if (value.length < size) {
      value = new float[size];
      mean = new float[size];
      total = new double[size];
      sum = new double[size];
      squares = new double[size];
    }
  }

  /** The value of a token and the mean of its page. */
  private void read(SelectionRow row, int kvHead, int token) {
    int page = row.view().page(token / PAGE_TOKENS);
    int offset = token % PAGE_TOKENS;
    int size = row.valueSize();
    Q8KvStorage kv = row.kv();
    MemorySegment memory = kv.memory(row.layer(), page);
    TokenKernels.expandValue(
        memory,
        kv.offset(Part.VALUES, row.layer(), page, kvHead)
            + (long) offset * 2 * Q8KvStorage.plane(size),
        kv.offset(Part.VALUE_SCALES, row.layer(), page, kvHead)
            + (long) offset * Short.BYTES * QuantizedKv.groups(size),
        size,
        value,
        0);
    TokenKernels.expandMean(
        memory,
        kv.offset(Part.MEANS, row.layer(), page, kvHead),
        Float.float16ToFloat(
            memory.get(Q8KvStorage.HALF, kv.offset(Part.MEAN_NUMBERS, row.layer(), page, kvHead))),
        size,
        mean,
        0);
  }

  private void add(double ratio, int size) {
    for (int c = 0; c < size; c++) {
      sum[c] += ratio * value[c] - mean[c];
    }
  }

  private void addSquares(double ratio, int size) {
    for (int c = 0; c < size; c++) {
      double z = ratio * value[c] - mean[c] - total[c] * (ratio - 1) - sum[c];
      squares[c] += z * z;
    }
  }
}
