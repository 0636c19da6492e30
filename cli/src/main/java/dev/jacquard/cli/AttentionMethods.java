package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.evaluation.attention.Baseline;
import dev.jacquard.kernels.Exactness;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The methods that {@code evaluate attention} compares with DENSE: classes as {@code --attention}
 * takes them, and names of baselines.
 */
record AttentionMethods(List<Exactness> classes, List<Baseline> baselines) {
  /**
   * Reads names.
   *
   * @throws InputException if one is not known, or its numbers are not what it takes
   */
  static AttentionMethods parse(List<String> names) {
    List<Exactness> classes = new ArrayList<>();
    List<Baseline> baselines = new ArrayList<>();
    for (String name : names) {
      Optional<Baseline> baseline =
          Arrays.stream(Baseline.values())
              .filter(b -> b.name().equalsIgnoreCase(name.strip()))
              .findFirst();
      if (baseline.isPresent()) {
        baselines.add(baseline.get());
      } else if (!name.isBlank()) {
        classes.add(exactness(name.strip()));
      }
    }
    classes.removeIf(c -> c instanceof Exactness.Dense); // is always there
    return new AttentionMethods(classes, baselines);
  }

  private static Exactness exactness(String name) {
    try {
      return AttentionPolicy.parse(name, 0).exactness(0);
    } catch (IllegalArgumentException e) {
      throw new InputException(
          "there is no method '%s'; baselines are %s; %s"
              .formatted(
                  name,
                  Arrays.stream(Baseline.values())
                      .map(b -> b.name().toLowerCase(Locale.ROOT))
                      .collect(Collectors.joining(", ")),
                  e.getMessage()));
    }
  }
}
