package dev.jacquard.sampling;

import dev.jacquard.memory.JacquardException;

/**
 * A model computed a logit that is NaN or infinite: its file is damaged, or its numbers left the
 * range of a format. No token can be drawn; evaluating again gives the same.
 */
public final class NonFiniteLogitsException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /** The first such token and its logit. */
  public NonFiniteLogitsException(int token, float logit) {
    super(
        "the logit of token "
            + token
            + " is "
            + logit
            + "; the model file may be damaged (check it with inspect --verify)");
  }
}
