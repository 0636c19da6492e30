package dev.jacquard.session;

/**
 * What the feed-forward layers of a generation's decoded tokens computed; sums over tokens and
 * layers, steps that were done again count each time.
 *
 * @param policy the policy of the request, as {@link dev.jacquard.neurons.FeedForwardPolicy#parse}
 *     reads it
 * @param computed neurons that counted
 * @param neurons neurons there are
 * @param bytesRead bytes of weights of these layers that were needed
 * @param bytesDense bytes that all neurons need
 */
public record FeedForwardStatistics(
    String policy, long computed, long neurons, long bytesRead, long bytesDense) {
  /** {@code computed} as a share of {@code neurons}; 1 if there were none. */
  public double neuronShare() {
    return neurons == 0 ? 1 : (double) computed / neurons;
  }

  /** {@code bytesRead} as a share of {@code bytesDense}; 1 if there were none. */
  public double bytesShare() {
    return bytesDense == 0 ? 1 : (double) bytesRead / bytesDense;
  }
}
