package dev.jacquard.pruning;

/**
 * How a model is pruned.
 *
 * @param share of the neurons of feed-forward layers that is removed, above 0 and below 1
 * @param score which ones
 * @param compensation what is done for them
 * @param perLayer whether each layer loses as many as the scores say; llama.cpp wants one size for
 *     all layers of most architectures
 * @param seed of {@link NeuronScore#RANDOM}
 */
public record PruningSettings(
    double share, NeuronScore score, Compensation compensation, boolean perLayer, long seed) {
  /** Checks. */
  public PruningSettings {
    if (!(share > 0 && share < 1)) {
      throw new IllegalArgumentException(
          "the share that is removed must be above 0 and below 1, not " + share);
    }
  }
}
