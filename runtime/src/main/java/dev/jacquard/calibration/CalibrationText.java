package dev.jacquard.calibration;

import dev.jacquard.memory.JacquardException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** The text that models are calibrated on if no other is given: source code of this project. */
public final class CalibrationText {
  /** What it is, in a few words. */
  public static final String SOURCE = "bundled source code";

  private static final String RESOURCE = "text.txt";

  private CalibrationText() {}

  /** The bundled text. */
  public static String bundled() {
    try (InputStream in = CalibrationText.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        throw new JacquardException(
            "the bundled calibration text is missing: install Jacquard again, or name a text");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new JacquardException("the bundled calibration text cannot be read: " + e, e);
    }
  }
}
