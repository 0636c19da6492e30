package dev.jacquard.calibration;

import dev.jacquard.memory.JacquardException;

/** A model or text that no bases of sketches come from; the message says why. */
public final class CalibrationException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /** With what was wrong. */
  public CalibrationException(String message) {
    super(message);
  }
}
