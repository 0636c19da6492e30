package dev.jacquard.pruning;

import java.util.Locale;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** How much a neuron counts for the output of its layer; those that count least are removed. */
public enum NeuronScore {
  /**
   * {@code Var(h_i | all others) · ‖W_down[:,i]‖²}: what the layer loses with a neuron after the
   * others have taken over what they can (Hassibi and Stork, "Second order derivatives for network
   * pruning: optimal brain surgeon", NIPS 1992, for whole neurons). The score that goes with {@link
   * Compensation#FULL}.
   */
  RESIDUAL,
  /**
   * {@code Var(h_i) · ‖W_down[:,i]‖²}: what remains of a neuron when its mean is folded into a bias
   * (An et al., "Fluctuation-based adaptive structured pruning for large language models", AAAI
   * 2024).
   */
  FLAP,
  /** {@code mean|h_i| · ‖W_down[:,i]‖}. */
  ACTIVATION,
  /** Any order: the control that a score must beat. */
  RANDOM;

  /**
   * The scores of a layer's neurons.
   *
   * @param norms of the columns of W_down
   * @param products of hidden values, needed for {@link #RESIDUAL} only
   * @param seed of {@link #RANDOM}, different for each layer
   */
  double[] of(NeuronStatistics statistics, double[] norms, @Nullable Products products, long seed) {
    Random random = new Random(seed);
    double[] residuals = this == RESIDUAL ? Objects.requireNonNull(products).residuals() : norms;
    double[] scores = new double[norms.length];
    for (int i = 0; i < scores.length; i++) {
      scores[i] =
          switch (this) {
            case RESIDUAL -> residuals[i] * norms[i] * norms[i];
            case FLAP -> statistics.variance(i) * norms[i] * norms[i];
            case ACTIVATION -> statistics.meanMagnitude(i) * norms[i];
            case RANDOM -> random.nextDouble();
          };
    }
    return scores;
  }

  /** Whether it needs products of hidden values. */
  boolean needsProducts() {
    return this == RESIDUAL;
  }

  /** The name as users write it. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
