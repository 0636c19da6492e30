package dev.jacquard.cli;

import dev.jacquard.memory.JacquardException;

/** Something that was given to a command cannot be used; the message says what and why. */
final class InputException extends JacquardException {
  private static final long serialVersionUID = 1L;

  InputException(String message) {
    super(message);
  }
}
