package dev.jacquard.quantization;

import dev.jacquard.memory.JacquardException;

/** A model cannot be quantised as asked; the message says why and what to do. */
public final class QuantizationException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /** With a message. */
  public QuantizationException(String message) {
    super(message);
  }

  /** With a message and what caused it. */
  public QuantizationException(String message, Throwable cause) {
    super(message, cause);
  }
}
