package dev.jacquard.evaluation;

import java.util.Arrays;
import java.util.Objects;

/**
 * The logits after one position: of all tokens, in order of their ids ("full"), or of the best
 * alone, best first ("cut"). Immutable and safe for any thread.
 */
public final class PositionLogits {
  private final double logSumExp;
  private final float[] logits;
  private final boolean full;

  /** Of a cut record: id · 2^32 + index, ascending. Of a full one: empty, for an index is an id. */
  private final long[] indexById;

  private final int[] ids;

  private PositionLogits(
      double logSumExp, float[] logits, boolean full, int[] ids, long[] indexById) {
    this.logSumExp = logSumExp;
    this.logits = logits;
    this.full = full;
    this.ids = ids;
    this.indexById = indexById;
  }

  /** Of all tokens. The array is kept, not copied. */
  static PositionLogits full(double logSumExp, float[] logits) {
    return new PositionLogits(logSumExp, logits, true, new int[0], new long[0]);
  }

  /**
   * Of the best. The arrays are kept, not copied.
   *
   * @throws IllegalArgumentException if an id occurs twice
   */
  static PositionLogits cut(double logSumExp, int[] ids, float[] logits) {
    long[] indexById = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      indexById[i] = ((long) ids[i] << 32) | i;
    }
    Arrays.sort(indexById);
    for (int i = 1; i < ids.length; i++) {
      if (indexById[i] >> 32 == indexById[i - 1] >> 32) {
        throw new IllegalArgumentException("token " + (indexById[i] >> 32) + " occurs twice");
      }
    }
    return new PositionLogits(logSumExp, logits, false, ids, indexById);
  }

  /** Whether every token is held. */
  public boolean isFull() {
    return full;
  }

  /** Number of tokens held. */
  public int size() {
    return logits.length;
  }

  /** Logarithm of the sum of the exponentials of all logits, also of those that are not held. */
  public double logSumExp() {
    return logSumExp;
  }

  /** Id of the token at {@code index}. */
  public int id(int index) {
    return full ? Objects.checkIndex(index, logits.length) : ids[index];
  }

  /** Logit of the token at {@code index}. */
  public float logit(int index) {
    return logits[index];
  }

  /** Logarithm of the probability of the token at {@code index}. */
  public double logProbability(int index) {
    return logits[index] - logSumExp;
  }

  /** Where token {@code id} is held, or −1. */
  public int indexOf(int id) {
    if (full) {
      return id >= 0 && id < logits.length ? id : -1;
    }
    int place = -1 - Arrays.binarySearch(indexById, ((long) id << 32) - 1);
    return place < ids.length && indexById[place] >> 32 == id ? (int) indexById[place] : -1;
  }

  /** Id of the most probable token, of equals the lowest in a full record. */
  public int best() {
    int best = 0;
    if (full) {
      for (int id = 1; id < logits.length; id++) {
        if (logits[id] > logits[best]) {
          best = id;
        }
      }
    }
    return id(best);
  }
}
