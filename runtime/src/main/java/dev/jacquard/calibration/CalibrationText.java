package dev.jacquard.calibration;

import dev.jacquard.memory.JacquardException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The text that models are calibrated on if no other is given: source code of this project. */
public final class CalibrationText {
  /** What it is, in a few words. */
  public static final String SOURCE = "bundled source code";

  private static final String RESOURCE = "text.txt";

  /** Shorter lines, as a brace, are in any source. */
  private static final int LEAST_CHARACTERS = 30;

  private CalibrationText() {}

  /**
   * Share of the lines of a text that are in the bundled text too: what is measured on such a text
   * with bases made from the bundled one is not held out. Short lines are not counted.
   */
  public static double shareOf(String text) {
    Set<String> known = lines(bundled()).collect(Collectors.toSet());
    List<String> lines = lines(text).toList();
    return lines.isEmpty()
        ? 0
        : (double) lines.stream().filter(known::contains).count() / lines.size();
  }

  private static Stream<String> lines(String text) {
    return text.lines().map(String::strip).filter(line -> line.length() >= LEAST_CHARACTERS);
  }

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
