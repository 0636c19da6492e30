package dev.jacquard.session;

import dev.jacquard.memory.JacquardException;

/** A prompt does not fit what is left of the context. */
public class ContextExceededException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /** Says how long the prompt is, what is left, and what to change. */
  public ContextExceededException(String message) {
    super(message);
  }
}
