package dev.jacquard.attention;

import dev.jacquard.memory.JacquardException;

/**
 * There is no memory for more keys and values: close sessions, or open the model with less context.
 */
public class KvCacheFullException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /** Says what was asked for and what there is. */
  public KvCacheFullException(String message) {
    super(message);
  }
}
