package dev.jacquard.cli;

import dev.jacquard.session.GenerationStatistics;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What decoding costs: hours of this machine for a million tokens, and their price.
 *
 * @param machineHoursPerMillionTokens null if nothing was decoded
 * @param pricePerHour of this machine, in the user's currency; null if it was not given
 * @param perMillionTokens the product; null if either is unknown
 */
record Cost(
    @Nullable Double machineHoursPerMillionTokens,
    @Nullable Double pricePerHour,
    @Nullable Double perMillionTokens) {

  static Cost of(GenerationStatistics.Phase decode, @Nullable Double pricePerHour) {
    if (decode.tokens() == 0) {
      return new Cost(null, pricePerHour, null);
    }
    double hours = decode.seconds() / decode.tokens() / 3600 * 1e6;
    return new Cost(hours, pricePerHour, pricePerHour == null ? null : hours * pricePerHour);
  }

  /** As {@code 0.31 machine-hours per million tokens (0.16 at 0.5/h)}. */
  @Override
  public String toString() {
    if (machineHoursPerMillionTokens == null) {
      return "no decoded tokens to price";
    }
    String hours = Format.significant(machineHoursPerMillionTokens) + " machine-hours per million tokens";
    return perMillionTokens == null || pricePerHour == null
        ? hours
        : String.format(
            Locale.ROOT,
            "%s (%s at %s/h)",
            hours,
            Format.significant(perMillionTokens),
            Format.significant(pricePerHour));
  }
}
