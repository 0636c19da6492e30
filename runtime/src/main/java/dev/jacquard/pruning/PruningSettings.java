package dev.jacquard.pruning;

/**
 * How a model is pruned.
 *
 * @param share of the neurons of feed-forward layers that is removed, above 0 and below 1
 * @param score which ones
 * @param compensation what is done for them
 * @param perLayer whether each layer loses as many as the scores say; llama.cpp wants one size for
 *     all layers of most architectures
 * @param block layers keep a multiple of so many neurons, of 32 at least; 0 for the block of
 *     W_down's number format, so that it can be stored in the same one
 * @param seed of {@link NeuronScore#RANDOM}
 */
public record PruningSettings(
    double share,
    NeuronScore score,
    Compensation compensation,
    boolean perLayer,
    int block,
    long seed) {
  /** Checks. */
  public PruningSettings {
    if (!(share > 0 && share < 1)) {
      throw new IllegalArgumentException(
          "the share that is removed must be above 0 and below 1, not " + share);
    }
    if (block < 0 || block % Allocation.LEAST_BLOCK != 0) {
      throw new IllegalArgumentException(
          "layers keep multiples of " + Allocation.LEAST_BLOCK + " neurons, not of " + block);
    }
  }
}
