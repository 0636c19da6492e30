package dev.jacquard.kvstore;

import dev.jacquard.memory.JacquardException;
import org.jspecify.annotations.Nullable;

/** The store, or one file of it, cannot be used; the message says why and what helps. */
public class KvStoreException extends JacquardException {
  private static final long serialVersionUID = 1L;

  KvStoreException(String message) {
    super(message);
  }

  KvStoreException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
