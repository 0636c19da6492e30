package dev.jacquard.session;

/**
 * What a generation cost. Times are those of the steps that it took part in, sampling and other
 * sessions' rows in them included; waiting for a slow reader is not.
 *
 * @param prefill tokens that were computed before the first was generated: the prompt, and what the
 *     session had that was not cached; and the time up to the first token
 * @param decode tokens that were generated after the first, an end-of-generation token included,
 *     and the time that took
 * @param bytesPerToken bytes of weights and cached keys and values that a decoded token reads when
 *     it is computed alone, mean; 0 if none was decoded. What attention and head leave out is not
 *     counted, steps that were done again are counted again
 * @param attention what attention read
 * @param head what the output head computed for the decoded tokens
 */
public record GenerationStatistics(
    Phase prefill,
    Phase decode,
    long bytesPerToken,
    AttentionStatistics attention,
    HeadStatistics head) {
  /**
   * A phase.
   *
   * @param tokens number of tokens
   * @param seconds wall time
   */
  public record Phase(int tokens, double seconds) {
    /** Tokens per second, 0 if there were none. */
    public double tokensPerSecond() {
      return tokens == 0 || seconds <= 0 ? 0 : tokens / seconds;
    }
  }
}
