package dev.jacquard.cli;

import dev.jacquard.evaluation.attention.Baseline;
import dev.jacquard.kernels.Exactness;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * The methods that {@code evaluate attention} compares with DENSE, as they are written on the
 * command line: classes with their numbers ({@code certified:0.01}, {@code verified:0.05:0.05},
 * {@code budgeted:0.8}) and names of baselines.
 */
record AttentionMethods(List<Exactness> classes, List<Baseline> baselines) {
  private static final double VERIFIED_COVERAGE = 0.8;
  private static final long VERIFIED_SEED = 1;

  /**
   * Reads names.
   *
   * @throws InputException if one is not known, or its numbers are not what it takes
   */
  static AttentionMethods parse(List<String> names) {
    List<Exactness> classes = new ArrayList<>();
    List<Baseline> baselines = new ArrayList<>();
    for (String name : names) {
      String[] parts = name.strip().toLowerCase(Locale.ROOT).split(":", -1);
      switch (parts[0]) {
        case "dense" -> {} // is always there
        case "certified" -> classes.add(new Exactness.Certified(numbers(name, parts, 1)[0]));
        case "verified" -> {
          double[] n = numbers(name, parts, 2);
          classes.add(new Exactness.Verified(n[0], n[1], VERIFIED_COVERAGE, VERIFIED_SEED));
        }
        case "budgeted" -> classes.add(new Exactness.Budgeted(numbers(name, parts, 1)[0], 1));
        default -> baselines.add(baseline(name));
      }
    }
    return new AttentionMethods(classes, baselines);
  }

  private static Baseline baseline(String name) {
    return Arrays.stream(Baseline.values())
        .filter(b -> b.name().equalsIgnoreCase(name.strip()))
        .findFirst()
        .orElseThrow(
            () ->
                new InputException(
                    "there is no method '%s'; there are certified:E, verified:E:D, budgeted:P and %s"
                        .formatted(
                            name,
                            Arrays.stream(Baseline.values())
                                .map(b -> b.name().toLowerCase(Locale.ROOT))
                                .collect(Collectors.joining(", ")))));
  }

  private static double[] numbers(String name, String[] parts, int count) {
    try {
      double[] numbers = Arrays.stream(parts).skip(1).mapToDouble(Double::parseDouble).toArray();
      if (numbers.length == count && Arrays.stream(numbers).allMatch(x -> x > 0 && x < 1)) {
        return numbers;
      }
    } catch (NumberFormatException e) {
      // Reported below, as every other text that is no share.
    }
    throw new InputException(
        "method '%s': expected %d number%s above 0 and below 1 behind the name, each after a colon"
            .formatted(name, count, count == 1 ? "" : "s"));
  }
}
