package dev.jacquard.pruning;

import dev.jacquard.memory.JacquardException;

/** A model cannot be pruned as it was asked for; the message says why and what can be done. */
public final class PruningException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /** With the reason. */
  public PruningException(String message) {
    super(message);
  }
}
