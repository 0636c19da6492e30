package dev.jacquard.kernels;

import dev.jacquard.memory.JacquardException;
import org.jspecify.annotations.Nullable;

/** A device cannot be opened, lacks an op, ran out of memory, or failed while it computed. */
public class BackendException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /** A fault without an underlying cause. */
  public BackendException(String message) {
    super(message);
  }

  /** A fault with the exception that revealed it. */
  public BackendException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
