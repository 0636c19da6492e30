package dev.jacquard.evaluation.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Other ways to choose tokens, for comparison. All keep the first {@link #SINKS} tokens, the latest
 * ones and the open page; the remaining bytes go to what each ranks highest, for the query heads of
 * a key/value head together. What is not chosen is left out.
 */
public enum Baseline {
  /** First and latest tokens, nothing else (Xiao et al. 2023, arXiv 2309.17453). */
  WINDOW,
  /** Pages by the upper bound of their scores (Tang et al. 2024, arXiv 2406.10774). */
  QUEST,
  /** Pages by the score of the mean of their keys. */
  MEANS,
  /** Random tokens. */
  RANDOM,
  /** Tokens by their true weights, which are known for free: what no method can beat. */
  ORACLE;

  private static final int SINKS = 16;
  private static final int RECENT = 128;

  /** Bytes of what is read to rank, for one key/value head. */
  long rankingBytes(int pages, int keySize) {
    return switch (this) {
      case WINDOW, RANDOM, ORACLE -> 0;
      case QUEST -> 2L * pages * QuantizedKv.keyBytes(keySize);
      case MEANS -> (long) pages * QuantizedKv.keyBytes(keySize);
    };
  }

  /** The query of one key/value head at one step, and what is known to choose by. */
  @SuppressWarnings("ArrayRecordComponent") // passed on, never compared
  record Choice(
      MirroredHead head,
      float[] queries,
      int at,
      int shared,
      float[] weights,
      int weightsAt,
      int stride) {}

  /**
   * Marks at most {@code budget} tokens in {@code slice}, always the open page and the first.
   *
   * @param seed of this head and step
   */
  void choose(Choice choice, long budget, long seed, PageSelection.Slice slice) {
    int n = choice.head.length();
    char[] fine = slice.fine();
    int recent =
        this == WINDOW
            ? (int) Math.min(n, Math.max(PAGE_TOKENS, budget - SINKS))
            : (int) Math.min(RECENT, Math.max(PAGE_TOKENS, budget / 2));
    int firstRecent = Math.max(0, Math.min(n - recent, (n - 1) / PAGE_TOKENS * PAGE_TOKENS));
    int sinks = Math.min(SINKS, firstRecent);
    mark(fine, 0, sinks);
    mark(fine, firstRecent, n);
    long left = budget - sinks - (n - firstRecent);
    switch (this) {
      case WINDOW -> {}
      case RANDOM -> {
        SplittableRandom random = new SplittableRandom(seed);
        float[] rank = new float[n];
        for (int t = 0; t < n; t++) {
          rank[t] = (float) random.nextDouble();
        }
        markTokens(rank, sinks, firstRecent, left, fine);
      }
      case ORACLE -> {
        float[] rank = new float[n];
        for (int h = 0; h < choice.shared; h++) {
          for (int t = 0; t < n; t++) {
            rank[t] += choice.weights[choice.weightsAt + h * choice.stride + t];
          }
        }
        markTokens(rank, sinks, firstRecent, left, fine);
      }
      case QUEST, MEANS -> markPages(choice, firstRecent, left, fine);
    }
  }

  private void markPages(Choice choice, int firstRecent, long left, char[] fine) {
    int pages = firstRecent / PAGE_TOKENS;
    float[] rank = new float[pages];
    Arrays.fill(rank, Float.NEGATIVE_INFINITY);
    double[] score = new double[pages];
    for (int h = 0; h < choice.shared; h++) {
      double highest = Double.NEGATIVE_INFINITY;
      for (int page = 0; page < pages; page++) {
        int at = choice.at + h * choice.head.keySize();
        score[page] =
            this == QUEST
                ? choice.head.questBound(page, choice.queries, at)
                : choice.head.meanScore(page, choice.queries, at);
        highest = Math.max(highest, score[page]);
      }
      for (int page = 0; page < pages; page++) {
        rank[page] = Math.max(rank[page], (float) (score[page] - highest));
      }
    }
    int[] order = best(rank, 1, pages, left / PAGE_TOKENS);
    for (int page : order) {
      fine[page] = (char) 0xFFFF;
    }
  }

  private static void markTokens(float[] rank, int from, int to, long count, char[] fine) {
    for (int token : best(rank, from, to, count)) {
      mark(fine, token, token + 1);
    }
  }

  /** The {@code count} indices from {@code from} to {@code to − 1} of highest rank; ties: first. */
  private static int[] best(float[] rank, int from, int to, long count) {
    long[] order = new long[Math.max(0, to - from)];
    for (int i = from; i < to; i++) {
      int bits = Float.floatToIntBits(rank[i]);
      int ascending = bits < 0 ? ~bits ^ Integer.MIN_VALUE : bits;
      order[i - from] = ((long) ~ascending << 32) | i;
    }
    Arrays.sort(order);
    return Arrays.stream(order)
        .limit(Math.clamp(count, 0, order.length))
        .mapToInt(packed -> (int) packed)
        .toArray();
  }

  private static void mark(char[] fine, int from, int to) {
    for (int t = from; t < to; t++) {
      fine[t / PAGE_TOKENS] |= (char) (1 << (t % PAGE_TOKENS));
    }
  }
}
