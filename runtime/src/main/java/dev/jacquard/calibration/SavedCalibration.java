package dev.jacquard.calibration;

import java.nio.file.Path;

/**
 * A calibration that was saved.
 *
 * @param calibration what was found
 * @param file where it is
 */
public record SavedCalibration(Calibration calibration, Path file) {}
