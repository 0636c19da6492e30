package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.QuantizedKv;
import java.util.Arrays;

/**
 * The weights at which tiers of {@link CertifiedSelection} begin, for the query heads of one
 * key/value head. They are found on a sample of the pages, as far apart as {@link #MOST_PAGES} of
 * them allow. A head's limit is moved until what its tiers cost on the sample, times what the
 * sample stands for, fills its budget; heads are moved together, since a token takes the best tier
 * that one of them wants. Nothing here enters the bound, which is summed over all tokens.
 *
 * <p>Pages of the sample stand side by side in blocks of 16: {@code weights[block][head][token · 16
 * + page]}.
 */
final class TierLimits {
  /** Pages of a sample, at most. */
  private static final int MOST_PAGES = 256;

  /** Numbers of a block of one head: 16 pages of 16 tokens. */
  private static final int BLOCK = PAGE_TOKENS * PAGE_TOKENS;

  /** The share of a budget that is to be filled on the sample; the rest is for its error. */
  private static final double FILLED = 0.9;

  private static final int MOST_STEPS = 7;

  /** How close, in nats, a cost is to what it should be. */
  private static final double CLOSE = 0.03;

  /** Nats that a limit is moved for each nat of its error: more than they change the cost. */
  private static final double GAIN = 1.3;

  /** What a token at a limit costs of its weight times the stretch of its page, about. */
  private static final double MARGINAL = 0.5;

  /** The logarithm of a limit that no weight is above. */
  private static final double NONE_ABOVE = 1;

  private final float[] ranks = new float[BLOCK];
  private final float[] chains = new float[PAGE_TOKENS];
  private int heads;
  private float[] weights = {};
  private float[] factors = {};
  private final float[] residuals = new float[MOST_PAGES * PAGE_TOKENS];
  private final float[] stretches = new float[MOST_PAGES];
  private double[] logs = {};
  private double[] costs = {};
  private float fine;

  /** Makes room for some heads. */
  void reserve(int headCount) {
    heads = headCount;
    if (logs.length < heads) {
      weights = new float[heads * MOST_PAGES * PAGE_TOKENS];
      factors = new float[heads * MOST_PAGES];
      logs = new double[heads];
      costs = new double[heads];
    }
  }

  /** Entries from one that is sampled to the next. */
  static int step(int entries) {
    return (entries + MOST_PAGES - 1) / MOST_PAGES;
  }

  /**
   * Samples an entry.
   *
   * @param index of the sample
   * @param all weights of the page's tokens: of head h at {@code all[at + h · stride …]}, relative
   *     to any number
   * @param ofTokens residuals of the tokens, from {@code tokensAt} on
   */
  void sample(
      int index, float[] all, int at, int stride, float[] ofTokens, int tokensAt, float stretch) {
    int lane = index % PAGE_TOKENS;
    int block = index / PAGE_TOKENS;
    for (int h = 0; h < heads; h++) {
      TierKernels.scatter(all, at + h * stride, weights, (block * heads + h) * BLOCK + lane);
    }
    TierKernels.scatter(ofTokens, tokensAt, residuals, block * BLOCK + lane);
    stretches[index] = stretch;
  }

  /** Leaves a place of the sample empty: all tokens of the entry may have to be read. */
  void skip(int index) {
    int lane = index % PAGE_TOKENS;
    int block = index / PAGE_TOKENS;
    for (int t = 0; t < PAGE_TOKENS; t++) {
      for (int h = 0; h < heads; h++) {
        weights[(block * heads + h) * BLOCK + t * PAGE_TOKENS + lane] = 0;
      }
      residuals[block * BLOCK + t * PAGE_TOKENS + lane] = 0;
    }
    stretches[index] = 0;
  }

  /** What turns the weights of a sample, of a head, into ones relative to the head's largest. */
  void scale(int index, int h, double factor) {
    int block = index / PAGE_TOKENS;
    factors[(block * heads + h) * PAGE_TOKENS + index % PAGE_TOKENS] = (float) factor;
  }

  /**
   * Finds the limits.
   *
   * @param samples entries that were sampled or skipped
   * @param firstHead where the heads' budgets begin
   * @param budgets what tokens may cost each head: weights relative to its largest times lengths
   * @param allPages pages that the sample stands for
   * @param valueSize numbers of a value
   */
  void find(int samples, double[] budgets, int firstHead, int allPages, int valueSize) {
    int blocks = (samples + PAGE_TOKENS - 1) / PAGE_TOKENS;
    for (int i = samples; i < blocks * PAGE_TOKENS; i++) {
      skip(i);
    }
    int sampled = 0;
    double stretch = 0;
    double residual = 0;
    for (int i = 0; i < samples; i++) {
      if (stretches[i] > 0) {
        sampled++;
        stretch += stretches[i];
        residual += residuals[i / PAGE_TOKENS * BLOCK + i % PAGE_TOKENS];
      }
    }
    double coarse = QuantizedKv.coarseValueBytes(valueSize);
    double rest = QuantizedKv.valueBytes(valueSize) + Short.BYTES - coarse;
    double ratio = residual > 0 ? rest / coarse * (MARGINAL * stretch / residual - 1) : 1;
    fine = (float) Math.clamp(ratio, 1, 1e6);
    double scale = sampled == 0 ? 0 : (double) allPages / sampled;
    for (int h = 0; h < heads; h++) {
      double all = scale * stretch * Math.sqrt(PAGE_TOKENS);
      double budget = budgets[firstHead + h];
      logs[h] = all > 0 ? Math.min(Math.log(budget / all), NONE_ABOVE) : -NONE_ABOVE;
    }
    boolean close = sampled == 0;
    for (int step = 0; step < MOST_STEPS && !close; step++) {
      measure(blocks);
      close = true;
      for (int h = 0; h < heads; h++) {
        close &= move(h, Math.log(scale * costs[h] / (FILLED * budgets[firstHead + h])));
      }
    }
  }

  /**
   * Moves a head's limit towards its budget; whether it is close. A head that costs too little
   * although its limit is high reads what others want; it is left alone.
   */
  private boolean move(int h, double error) {
    if (error < 0 && logs[h] >= NONE_ABOVE) {
      return true;
    }
    logs[h] = Math.min(logs[h] - Math.clamp(GAIN * error, -3, 3), NONE_ABOVE);
    return Math.abs(error) < CLOSE;
  }

  private void measure(int blocks) {
    Arrays.fill(costs, 0, heads, 0);
    for (int b = 0; b < blocks; b++) {
      Arrays.fill(ranks, 0);
      for (int h = 0; h < heads; h++) {
        int i = b * heads + h;
        float factor = (float) Math.exp(-logs[h]);
        TierKernels.raiseSample(weights, i * BLOCK, factors, i * PAGE_TOKENS, factor, ranks);
      }
      for (int h = 0; h < heads; h++) {
        int i = b * heads + h;
        TierKernels.cost(
            weights,
            i * BLOCK,
            factors,
            i * PAGE_TOKENS,
            ranks,
            fine,
            residuals,
            b * BLOCK,
            stretches,
            b * PAGE_TOKENS,
            chains);
        for (float chain : chains) {
          costs[h] += chain;
        }
      }
    }
  }

  /** Lowers a head's limit after it turned out to cost {@code excess} times its budget. */
  void lower(int h, double excess) {
    logs[h] -= 1.5 * Math.log(excess) + 0.02;
  }

  /** The least weight, relative to a head's largest, that is read in 4 bits. */
  double coarse(int h) {
    return Math.exp(logs[h]);
  }

  /** How much more weighs what is read in 8 bits: the ratio of the two limits. */
  float fine() {
    return fine;
  }
}
