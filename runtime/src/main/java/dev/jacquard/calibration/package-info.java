/**
 * Calibration of token sketches: the balanced basis of each key/value head, measured on a text, and
 * its file beside the model.
 */
@NullMarked
package dev.jacquard.calibration;

import org.jspecify.annotations.NullMarked;
