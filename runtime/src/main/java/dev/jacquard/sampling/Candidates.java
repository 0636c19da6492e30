package dev.jacquard.sampling;

import java.util.Objects;

/**
 * The tokens that may still be drawn, with their logits. Better means a higher logit, among equals
 * a lower id. One thread uses it; it allocates nothing after its construction.
 *
 * <p>A candidate is one {@code long}, so that comparing longs compares candidates:
 *
 * <pre>
 *  bit   63                          32 31                           0
 *        +-----------------------------+-----------------------------+
 *        | logit, in order of integers | vocabulary size − 1 − id    |
 *        +-----------------------------+-----------------------------+
 * </pre>
 */
public final class Candidates {
  /** How many are sorted at first where it is not known how many will be wanted. */
  private static final int FIRST_SORTED = 256;

  /** More than sums of so many numbers are off by. */
  private static final double ROUNDING = 1e-9;

  private final long[] keys;
  private int size;
  private int sorted;

  /** Room for all tokens of a vocabulary, none of them in it. */
  public Candidates(int vocabulary) {
    keys = new long[vocabulary];
  }

  /**
   * Starts again with all tokens, {@code logits[id]} each.
   *
   * @throws NonFiniteLogitsException if a logit is NaN or infinite
   */
  public void fill(float[] logits) {
    if (logits.length != keys.length) {
      throw new IllegalArgumentException(
          logits.length + " logits for a vocabulary of " + keys.length);
    }
    for (int id = 0; id < logits.length; id++) {
      if (!Float.isFinite(logits[id])) {
        throw new NonFiniteLogitsException(id, logits[id]);
      }
      keys[id] = key(id, logits[id]);
    }
    size = logits.length;
    sorted = 0;
  }

  /**
   * Starts again with the tokens whose logits are known.
   *
   * @throws NonFiniteLogitsException if a logit is NaN or infinite
   */
  public void fill(KnownLogits known) {
    size = known.count();
    for (int i = 0; i < size; i++) {
      if (!Float.isFinite(known.logit(i))) {
        throw new NonFiniteLogitsException(known.token(i), known.logit(i));
      }
      keys[i] = key(known.token(i), known.logit(i));
    }
    sorted = 0;
  }

  /** Number of candidates. */
  public int size() {
    return size;
  }

  /** Id of candidate {@code index}. */
  public int id(int index) {
    return keys.length - 1 - (int) keys[Objects.checkIndex(index, size)];
  }

  /** Logit of candidate {@code index}. */
  public float logit(int index) {
    int ordered = (int) (keys[Objects.checkIndex(index, size)] >>> 32);
    return Float.intBitsToFloat(flipNegative(ordered));
  }

  private long key(int id, float logit) {
    // Adding zero makes the negative zero positive, which is equal to it.
    int ordered = flipNegative(Float.floatToRawIntBits(logit + 0f));
    return ((long) ordered << 32) | (keys.length - 1 - id);
  }

  /** From the order of float's bits to that of integers, and back. */
  private static int flipNegative(int bits) {
    return bits ^ ((bits >> 31) & Integer.MAX_VALUE);
  }

  /** Keeps the {@code count} best, best first; all, sorted, if there are no more. */
  public void keepTop(int count) {
    int kept = Math.min(count, size);
    sortTop(kept);
    size = kept;
  }

  /** Whether these, sorted, are {@code count} that are at most {@code within} below the best. */
  boolean knows(int count, float within) {
    return within == Float.POSITIVE_INFINITY
        || (size == count && logit(size - 1) >= (double) logit(0) - within);
  }

  /** Keeps the fewest best, best first, whose probabilities sum to {@code mass} or more. */
  void keepMass(float mass) {
    double best = bestLogit();
    double total = 0;
    for (int i = 0; i < size; i++) {
      total += Math.exp(logit(i) - best);
    }
    double sum = 0;
    for (int i = 0; i < size; i++) {
      if (i == sorted) {
        sortTop(Math.min(size, Math.max(FIRST_SORTED, 8 * sorted)));
      }
      sum += Math.exp(logit(i) - best);
      if (sum >= mass * total) {
        size = i + 1;
      }
    }
  }

  /**
   * As {@link #keepMass} of the {@code wanted} best tokens, of which the last ones are not known:
   * those that are more than {@code within} below the best. They are as probable as they can be, or
   * only those that are here count.
   *
   * @param share those less probable than this share of the best are not kept afterwards, so it
   *     does not matter whether they are kept here; 0 if all are
   * @return false if it depends on what is not known; nothing is changed then
   */
  boolean keepMassOfKnown(float mass, int wanted, float within, float share) {
    sortTop(size);
    double best = bestLogit();
    double least = share == 0 ? Double.NEGATIVE_INFINITY : best + Math.log(share);
    int known = 0;
    int lasting = 0;
    double knownSum = 0;
    double low = 0;
    for (int i = 0; i < size; i++) {
      double weight = Math.exp(logit(i) - best);
      low += weight;
      if (logit(i) >= best - within) {
        known++;
        knownSum += weight;
        lasting += logit(i) >= least ? 1 : 0;
      }
    }
    double high = knownSum + (wanted - known) * Math.exp(-within);
    int fewest = massOfKnown(mass * low * (1 - ROUNDING), known, best);
    int most = massOfKnown(mass * high * (1 + ROUNDING), known, best);
    if (Math.min(fewest, lasting) != Math.min(most, lasting)) {
      return false;
    }
    size = fewest;
    sorted = fewest;
    return true;
  }

  /** How many of the {@code known} best sum to {@code mass} or more; all if they do not. */
  private int massOfKnown(double mass, int known, double best) {
    double sum = 0;
    for (int i = 0; i < known; i++) {
      sum += Math.exp(logit(i) - best);
      if (sum >= mass) {
        return i + 1;
      }
    }
    return known;
  }

  /** Keeps those at least {@code share} times as probable as the best, in their present order. */
  void keepRelative(float share) {
    double least = bestLogit() + Math.log(share);
    int kept = 0;
    for (int i = 0; i < size; i++) {
      if (logit(i) >= least) {
        keys[kept++] = keys[i];
      }
    }
    size = kept;
    sorted = Math.min(sorted, kept);
  }

  /**
   * The candidate at which the running sum of probabilities passes {@code uniform}, a number in [0,
   * 1), after logits are divided by {@code temperature}.
   */
  int draw(double uniform, float temperature) {
    double best = bestLogit();
    double total = 0;
    for (int i = 0; i < size; i++) {
      total += Math.exp((logit(i) - best) / temperature);
    }
    double left = uniform * total;
    for (int i = 0; i < size - 1; i++) {
      left -= Math.exp((logit(i) - best) / temperature);
      if (left < 0) {
        return id(i);
      }
    }
    return id(size - 1);
  }

  private float bestLogit() {
    if (sorted > 0) {
      return logit(0);
    }
    float best = logit(0);
    for (int i = 1; i < size; i++) {
      best = Math.max(best, logit(i));
    }
    return best;
  }

  /** Moves the {@code count} best to the front, best first; the order of the rest is any. */
  private void sortTop(int count) {
    if (count <= sorted) {
      return;
    }
    // The worst of the best so far is the root of a heap, which whatever is better replaces.
    for (int i = count / 2 - 1; i >= 0; i--) {
      siftDown(i, count);
    }
    for (int i = count; i < size; i++) {
      if (keys[i] > keys[0]) {
        swap(0, i);
        siftDown(0, count);
      }
    }
    for (int end = count - 1; end > 0; end--) {
      swap(0, end);
      siftDown(0, end);
    }
    sorted = count;
  }

  private void siftDown(int start, int count) {
    int parent = start;
    for (int child = 2 * parent + 1; child < count; child = 2 * parent + 1) {
      if (child + 1 < count && keys[child + 1] < keys[child]) {
        child++;
      }
      if (keys[parent] <= keys[child]) {
        return;
      }
      swap(parent, child);
      parent = child;
    }
  }

  private void swap(int a, int b) {
    long key = keys[a];
    keys[a] = keys[b];
    keys[b] = key;
  }
}
