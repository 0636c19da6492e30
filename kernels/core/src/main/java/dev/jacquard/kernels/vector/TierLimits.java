package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.QuantizedKv;
import java.util.Arrays;

/**
 * The weights at which tiers of {@link CertifiedSelection} begin, for the query heads of one
 * key/value head. They are found on a sample: 16 pages, side by side, of up to {@link #MOST_CHUNKS}
 * chunks. A head's limit is moved until what its tiers cost on the sample, times what the sample
 * stands for, fills its budget; heads are moved together, since a token takes the best tier that
 * one of them wants. Nothing here enters the bound, which is summed over all tokens.
 */
final class TierLimits {
  /** Chunks that the sample is taken from, at most. */
  static final int MOST_CHUNKS = 16;

  /** Numbers of a sample of one head in a chunk: 16 pages of 16 tokens. */
  private static final int BLOCK = PAGE_TOKENS * PAGE_TOKENS;

  /** Distance between the pages of a sample. */
  private static final int PAGE_STEP = SelectionRow.CHUNK_ENTRIES / PAGE_TOKENS;

  /** The share of a budget that is to be filled on the sample; the rest is for its error. */
  private static final double FILLED = 0.92;

  private static final int MOST_STEPS = 12;

  /** How close, in nats, a cost is to what it should be. */
  private static final double CLOSE = 0.02;

  /** What a token at a limit costs of its weight times the stretch of its page, about. */
  private static final double MARGINAL = 0.5;

  /** The logarithm of a limit that no weight is above. */
  private static final double NONE_ABOVE = 1;

  private static final int[] LANES = new int[PAGE_TOKENS];

  static {
    Arrays.setAll(LANES, i -> i * PAGE_STEP * PAGE_TOKENS);
  }

  private final float[] ranks = new float[BLOCK];
  private final float[] chains = new float[PAGE_TOKENS];
  private int heads;
  private float[] weights = {};
  private final float[] residuals = new float[MOST_CHUNKS * BLOCK];
  private final float[] stretches = new float[MOST_CHUNKS * PAGE_TOKENS];
  private final int[] pages = new int[MOST_CHUNKS];
  private double[] logs = {};
  private double[] errors = {};
  private double[] steps = {};
  private double[] slopes = {};
  private double[] costs = {};
  private float fine;

  /** Makes room for some heads. */
  void reserve(int headCount) {
    heads = headCount;
    if (logs.length < heads) {
      weights = new float[MOST_CHUNKS * heads * BLOCK];
      logs = new double[heads];
      errors = new double[heads];
      steps = new double[heads];
      slopes = new double[heads];
      costs = new double[heads];
    }
  }

  /** Chunks from one that is sampled to the next. */
  static int chunkStep(int chunks) {
    return (chunks + MOST_CHUNKS - 1) / MOST_CHUNKS;
  }

  /**
   * Samples a chunk.
   *
   * @param index of the sample
   * @param all weights of head h at {@code all[at + h · stride …]}, relative to any number
   * @param forced for each page of the chunk, whether the sample must not have it
   * @param ofTokens residuals of the chunk's tokens
   * @param ofPages stretches of its pages, from {@code pageAt} on
   */
  void sample(
      int index,
      float[] all,
      int at,
      int stride,
      boolean[] forced,
      float[] ofTokens,
      float[] ofPages,
      int pageAt) {
    for (int t = 0; t < PAGE_TOKENS; t++) {
      int to = index * BLOCK + t * PAGE_TOKENS;
      TierKernels.gather(ofTokens, t, LANES, residuals, to);
      for (int h = 0; h < heads; h++) {
        int target = (index * heads + h) * BLOCK + t * PAGE_TOKENS;
        TierKernels.gather(all, at + h * stride + t, LANES, weights, target);
      }
    }
    pages[index] = 0;
    for (int i = 0; i < PAGE_TOKENS; i++) {
      stretches[index * PAGE_TOKENS + i] = ofPages[pageAt + i * PAGE_STEP];
      if (forced[i * PAGE_STEP]) {
        exclude(index, i);
      } else {
        pages[index]++;
      }
    }
  }

  private void exclude(int index, int page) {
    stretches[index * PAGE_TOKENS + page] = 0;
    for (int t = 0; t < PAGE_TOKENS; t++) {
      residuals[index * BLOCK + t * PAGE_TOKENS + page] = 0;
      for (int h = 0; h < heads; h++) {
        weights[(index * heads + h) * BLOCK + t * PAGE_TOKENS + page] = 0;
      }
    }
  }

  /**
   * Finds the limits.
   *
   * @param samples chunks that were sampled
   * @param factors {@code factors[h · samples + i]}: what turns a weight of sample i into one
   *     relative to the head's largest
   * @param budgets what tokens may cost each head, in such weights times lengths
   * @param allPages pages that the sample stands for
   * @param valueSize numbers of a value
   */
  void find(int samples, double[] factors, double[] budgets, int allPages, int valueSize) {
    int sampled = 0;
    double stretch = 0;
    double residual = 0;
    for (int i = 0; i < samples; i++) {
      sampled += pages[i];
      for (int p = 0; p < PAGE_TOKENS; p++) {
        stretch += stretches[i * PAGE_TOKENS + p];
        residual += stretches[i * PAGE_TOKENS + p] > 0 ? residuals[i * BLOCK + p] : 0;
      }
    }
    double coarse = QuantizedKv.coarseValueBytes(valueSize);
    double rest = QuantizedKv.valueBytes(valueSize) + Short.BYTES - coarse;
    double ratio = residual > 0 ? rest / coarse * (MARGINAL * stretch / residual - 1) : 1;
    fine = (float) Math.clamp(ratio, 1, 1e6);
    double scale = sampled == 0 ? 0 : (double) allPages / sampled;
    for (int h = 0; h < heads; h++) {
      double all = scale * stretch * Math.sqrt(PAGE_TOKENS);
      logs[h] = all > 0 ? Math.min(Math.log(budgets[h] / all), NONE_ABOVE) : -NONE_ABOVE;
      slopes[h] = 0.8;
      errors[h] = Double.NaN;
    }
    boolean close = sampled == 0;
    for (int step = 0; step < MOST_STEPS && !close; step++) {
      measure(samples, factors);
      close = true;
      for (int h = 0; h < heads; h++) {
        close &= move(h, Math.log(scale * costs[h] / (FILLED * budgets[h])));
      }
    }
  }

  /** Moves a head's limit by the secant through its last two errors; whether it stays. */
  private boolean move(int h, double error) {
    if (Math.abs(error) < CLOSE || (error < 0 && logs[h] >= NONE_ABOVE)) {
      return true;
    }
    double slope = (error - errors[h]) / steps[h];
    if (slope > 0 && slope < 10) {
      slopes[h] = Math.clamp(slope, 0.2, 2);
    }
    double from = logs[h];
    logs[h] = Math.min(from - Math.clamp(error / slopes[h], -3, 3), NONE_ABOVE);
    errors[h] = error;
    steps[h] = logs[h] - from;
    return false;
  }

  private void measure(int samples, double[] factors) {
    Arrays.fill(costs, 0, heads, 0);
    for (int i = 0; i < samples; i++) {
      for (int h = 0; h < heads; h++) {
        float factor = (float) (factors[h * samples + i] * Math.exp(-logs[h]));
        int at = (i * heads + h) * BLOCK;
        if (h == 0) {
          TierKernels.rank(weights, at, BLOCK, factor, ranks);
        } else {
          TierKernels.raise(weights, at, BLOCK, factor, ranks);
        }
      }
      for (int h = 0; h < heads; h++) {
        TierKernels.cost(
            weights,
            (i * heads + h) * BLOCK,
            ranks,
            fine,
            residuals,
            i * BLOCK,
            stretches,
            i * PAGE_TOKENS,
            chains);
        double cost = 0;
        for (float chain : chains) {
          cost += chain;
        }
        costs[h] += cost * factors[h * samples + i];
      }
    }
  }

  /** Lowers a head's limit after it turned out to cost {@code excess} times its budget. */
  void lower(int h, double excess) {
    logs[h] -= 2 * Math.log(excess) + 0.05;
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
