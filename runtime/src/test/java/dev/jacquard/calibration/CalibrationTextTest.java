package dev.jacquard.calibration;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class CalibrationTextTest {
  private static final String OTHER =
      "a line that no source of this project has, and long enough\n";

  @Test
  void knowsHowMuchOfATextItHas() {
    String known =
        CalibrationText.bundled()
            .lines()
            .filter(line -> line.strip().length() >= 30)
            .findFirst()
            .orElseThrow();
    assertEquals(1, CalibrationText.shareOf(CalibrationText.bundled()));
    assertEquals(0, CalibrationText.shareOf(OTHER));
    assertEquals(0.5, CalibrationText.shareOf("  " + known + "  \n" + OTHER + "short\n"));
    assertEquals(0, CalibrationText.shareOf(""));
  }
}
