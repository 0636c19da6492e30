package dev.jacquard.repository;

import dev.jacquard.memory.JacquardException;
import org.jspecify.annotations.Nullable;

/** A folder cannot be read at all, or a file of it is not what it was when the folder was read. */
public final class RepositoryException extends JacquardException {
  private static final long serialVersionUID = 1L;

  RepositoryException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
