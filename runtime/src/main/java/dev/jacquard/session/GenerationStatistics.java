package dev.jacquard.session;

/**
 * What a generation cost.
 *
 * @param prefill tokens of the prompt that were computed, and the time that took
 * @param decode tokens that were generated after the first, and the time that took
 * @param bytesPerToken bytes of weights and cached keys and values that a decoded token read, mean
 */
public record GenerationStatistics(Phase prefill, Phase decode, long bytesPerToken) {
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
