package dev.jacquard.evaluation.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.WidestPages;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The keys and values of one key/value head on the heap, as attention reads them, with what
 * baselines and certificates are checked against: bounds and means of each page of keys, and the
 * spread of each page of values. Pages are {@code PAGE_TOKENS} positions from 0 on.
 */
final class MirroredHead {
  private static final int BLOCK = 1024;
  private static final int WAYS = 3;

  /** Less than the roundings of a sum in double. */
  private static final double ROUNDED_DOWN = 1 - 1e-9;

  private final int keySize;
  private final int valueSize;

  /** [channel × BLOCK]: a channel's values stand together, so that scores are sums of rows. */
  private final List<float[]> keys = new ArrayList<>();

  /** [BLOCK × valueSize]. */
  private final List<float[]> values = new ArrayList<>();

  private float[] least = {};
  private float[] greatest = {};
  private float[] mean = {};

  /** The spread of each page. */
  private float[] spread = {};

  private int length;

  MirroredHead(int keySize, int valueSize) {
    this.keySize = keySize;
    this.valueSize = valueSize;
  }

  int length() {
    return length;
  }

  int keySize() {
    return keySize;
  }

  /** Forgets what lies behind the first {@code tokens}. */
  void truncate(int tokens) {
    length = Math.min(length, tokens);
  }

  void append(float[] key, float[] value) {
    int block = length / BLOCK;
    int t = length % BLOCK;
    if (block == keys.size()) {
      keys.add(new float[keySize * BLOCK]);
      values.add(new float[valueSize * BLOCK]);
    }
    float[] k = keys.get(block);
    for (int c = 0; c < keySize; c++) {
      k[c * BLOCK + t] = key[c];
    }
    System.arraycopy(value, 0, values.get(block), t * valueSize, valueSize);
    length++;
    if (length % PAGE_TOKENS == 0) {
      closePage(length / PAGE_TOKENS - 1);
    }
  }

  /** Pages that are whole. */
  int pages() {
    return length / PAGE_TOKENS;
  }

  private void closePage(int page) {
    if (mean.length < (page + 1) * keySize) {
      int pages = Math.max(64, 2 * page);
      least = Arrays.copyOf(least, pages * keySize);
      greatest = Arrays.copyOf(greatest, pages * keySize);
      mean = Arrays.copyOf(mean, pages * keySize);
      spread = Arrays.copyOf(spread, pages);
    }
    float[] k = keys.get(page * PAGE_TOKENS / BLOCK);
    int first = page * PAGE_TOKENS % BLOCK;
    for (int c = 0; c < keySize; c++) {
      float low = Float.POSITIVE_INFINITY;
      float high = Float.NEGATIVE_INFINITY;
      double sum = 0;
      for (int t = first; t < first + PAGE_TOKENS; t++) {
        float x = k[c * BLOCK + t];
        low = Math.min(low, x);
        high = Math.max(high, x);
        sum += x;
      }
      least[page * keySize + c] = low;
      greatest[page * keySize + c] = high;
      mean[page * keySize + c] = (float) (sum / PAGE_TOKENS);
    }
    spread[page] = spreadOf(page);
  }

  /** The largest distance of a page's values from their exact mean, rounded down as it is kept. */
  private float spreadOf(int page) {
    float[] v = values.get(page * PAGE_TOKENS / BLOCK);
    int first = page * PAGE_TOKENS % BLOCK;
    double[] centre = new double[valueSize];
    for (int t = first; t < first + PAGE_TOKENS; t++) {
      for (int c = 0; c < valueSize; c++) {
        centre[c] += v[t * valueSize + c] / (double) PAGE_TOKENS;
      }
    }
    double largest = 0;
    for (int t = first; t < first + PAGE_TOKENS; t++) {
      double square = 0;
      for (int c = 0; c < valueSize; c++) {
        double d = v[t * valueSize + c] - centre[c];
        square += d * d;
      }
      largest = Math.max(largest, square);
    }
    return Float.float16ToFloat(QuantizedKv.roundDown(Math.sqrt(largest)));
  }

  /**
   * A lower bound of the diameter of the values, as attention finds it: among the tokens of the
   * widest closed pages, from the first to the farthest, from there to the farthest, and once more:
   * the longest of these ways.
   */
  double diameter() {
    WidestPages widest = new WidestPages();
    for (int page = 0; page < (length - 1) / PAGE_TOKENS; page++) {
      widest.offer(page, spread[page]);
    }
    double largest = widest.largest();
    int from = widest.size() > 0 ? widest.entry(0) * PAGE_TOKENS : 0;
    for (int way = 0; way < WAYS; way++) {
      int farthest = from;
      for (int i = 0; i < widest.size() * PAGE_TOKENS; i++) {
        int token = widest.entry(i / PAGE_TOKENS) * PAGE_TOKENS + i % PAGE_TOKENS;
        farthest = distance(from, token) > distance(from, farthest) ? token : farthest;
      }
      largest = Math.max(largest, distance(from, farthest) * ROUNDED_DOWN);
      from = farthest;
    }
    return largest;
  }

  private double distance(int a, int b) {
    float[] x = values.get(a / BLOCK);
    float[] y = values.get(b / BLOCK);
    double square = 0;
    for (int c = 0; c < valueSize; c++) {
      double d = (double) x[a % BLOCK * valueSize + c] - y[b % BLOCK * valueSize + c];
      square += d * d;
    }
    return Math.sqrt(square);
  }

  /**
   * Scores of all tokens.
   *
   * @param queries [heads × keySize] from {@code at} on
   * @param scores [heads × stride]; written
   */
  void scores(float[] queries, int at, int heads, float scale, float[] scores, int stride) {
    IntStream.range(0, (length + BLOCK - 1) / BLOCK)
        .parallel()
        .forEach(
            block -> {
              int first = block * BLOCK;
              int count = Math.min(BLOCK, length - first);
              float[] k = keys.get(block);
              float[] sum = new float[BLOCK];
              for (int h = 0; h < heads; h++) {
                Arrays.fill(sum, 0);
                for (int c = 0; c < keySize; c++) {
                  addRow(sum, k, c * BLOCK, queries[at + h * keySize + c] * scale);
                }
                System.arraycopy(sum, 0, scores, h * stride + first, count);
              }
            });
  }

  private static void addRow(float[] sum, float[] row, int from, float factor) {
    for (int t = 0; t < BLOCK; t++) {
      sum[t] += factor * row[from + t];
    }
  }

  /** {@code Σ weights[at + t] · value[t]}, in double. */
  double[] weigh(float[] weights, int at) {
    double[] sum = new double[valueSize];
    float[] part = new float[valueSize];
    for (int t = 0; t < length; t++) {
      float[] v = values.get(t / BLOCK);
      float weight = weights[at + t];
      int from = t % BLOCK * valueSize;
      for (int c = 0; c < valueSize; c++) {
        part[c] += weight * v[from + c];
      }
      if (t % 64 == 63 || t == length - 1) {
        for (int c = 0; c < valueSize; c++) {
          sum[c] += part[c];
          part[c] = 0;
        }
      }
    }
    return sum;
  }

  /** Quest's upper bound of the scores of a page (Tang et al. 2024, arXiv 2406.10774). */
  double questBound(int page, float[] queries, int at) {
    double sum = 0;
    int from = page * keySize;
    for (int c = 0; c < keySize; c++) {
      float q = queries[at + c];
      sum += Math.max(q * least[from + c], q * greatest[from + c]);
    }
    return sum;
  }

  /** The score of the mean of a page's keys. */
  double meanScore(int page, float[] queries, int at) {
    double sum = 0;
    int from = page * keySize;
    for (int c = 0; c < keySize; c++) {
      sum += queries[at + c] * mean[from + c];
    }
    return sum;
  }
}
