package dev.jacquard.kernels.reference;

/**
 * Query heads of one row that read the same key/value head.
 *
 * @param values queries, one after the other
 * @param from index of the first one's first number
 * @param size numbers of a query
 * @param count heads
 * @param scale factor on the scores
 * @param softCap scores become {@code softCap·tanh(score / softCap)}, or 0 for no cap
 */
@SuppressWarnings("ArrayRecordComponent") // a view of a slot, never compared
record Queries(float[] values, int from, int size, int count, float scale, float softCap) {
  /** Number {@code i} of a query. */
  double at(int head, int i) {
    return values[from + head * size + i];
  }

  /** The score of a key. */
  double score(int head, float[] key) {
    double sum = 0;
    for (int i = 0; i < size; i++) {
      sum += at(head, i) * key[i];
    }
    return score(sum);
  }

  /**
   * The score of a key whose product with the query is {@code product}. One that is not finite
   * stays so: a cap would hide it.
   */
  double score(double product) {
    double score = scale * product;
    if (!Double.isFinite(score)) {
      return Double.NaN;
    }
    return softCap == 0 ? score : softCap * Math.tanh(score / softCap);
  }
}
