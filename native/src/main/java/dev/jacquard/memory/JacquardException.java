package dev.jacquard.memory;

import org.jspecify.annotations.Nullable;

/**
 * Base of everything this library throws on purpose. The message says what was wrong, where, and
 * what to do next: fix the input, retry, or restart.
 */
public class JacquardException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** A fault without an underlying cause. */
  public JacquardException(String message) {
    super(message);
  }

  /** A fault with the exception that revealed it. */
  public JacquardException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
