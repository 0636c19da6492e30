package dev.jacquard.session;

/**
 * What the attention of a generation read, and what it can say about its error.
 *
 * @param policy the policy of the request, as {@link dev.jacquard.attention.AttentionPolicy#parse}
 *     reads it
 * @param prefill the tokens computed before the first was generated
 * @param decode the tokens after it; those of steps that were done again count each time
 * @param redone steps that were done again one class stricter, because the best two tokens were
 *     closer than the margin of the request
 */
public record AttentionStatistics(String policy, Reading prefill, Reading decode, int redone) {
  /**
   * Sums over tokens, of all layers and key/value heads. Bytes are those of the cache's format.
   *
   * @param tokens rows that were computed
   * @param bytesRead bytes of the cache that attention read
   * @param bytesDense bytes that reading everything would have taken
   * @param fine cached tokens that were read in 8 bits
   * @param coarse cached tokens whose value was read in 4 bits
   * @param far cached tokens that entered as the mean of their page
   * @param cases query heads and layers that gave a bound of their error
   * @param certificateWorst the largest of these bounds, as a share of the diameter of the values;
   *     0 if there were none
   * @param certificateMean their mean
   * @param escalated cases that read everything because their audit failed
   */
  public record Reading(
      int tokens,
      long bytesRead,
      long bytesDense,
      long fine,
      long coarse,
      long far,
      long cases,
      double certificateWorst,
      double certificateMean,
      long escalated) {
    /** {@code bytesRead} as a share of {@code bytesDense}; 1 if there was nothing to read. */
    public double share() {
      return bytesDense == 0 ? 1 : (double) bytesRead / bytesDense;
    }
  }
}
