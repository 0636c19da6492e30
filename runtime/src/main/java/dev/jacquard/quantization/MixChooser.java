package dev.jacquard.quantization;

import dev.jacquard.tensor.ElementFormat;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Chooses a format for each of several tensors, so that together they take no more than some bytes
 * and cost little. Costs add up. Each tensor begins with its smallest format; then the step that
 * saves most cost for a byte is taken, of those that still fit, along the lower convex hull of each
 * tensor's formats: the solutions of the Lagrangian, filled up at the end.
 */
final class MixChooser {
  /**
   * A format that a tensor may get.
   *
   * @param cost of all errors that it makes
   */
  record Candidate(ElementFormat format, long bytes, double cost) {}

  /** A step of a tensor to a larger format. */
  private record Step(String tensor, Candidate from, Candidate to) {
    double gain() {
      return (from.cost - to.cost) / (to.bytes - from.bytes);
    }
  }

  private MixChooser() {}

  /**
   * The choice.
   *
   * @param candidates of each tensor, by its name
   * @throws QuantizationException if even the smallest formats take more
   */
  static Map<String, Candidate> choose(Map<String, List<Candidate>> candidates, long bytes) {
    Map<String, Candidate> chosen = new HashMap<>();
    List<Step> steps = new ArrayList<>();
    long used = 0;
    for (var entry : candidates.entrySet()) {
      List<Candidate> hull = hull(entry.getValue());
      chosen.put(entry.getKey(), hull.getFirst());
      used += hull.getFirst().bytes;
      for (int i = 1; i < hull.size(); i++) {
        steps.add(new Step(entry.getKey(), hull.get(i - 1), hull.get(i)));
      }
    }
    if (used > bytes) {
      throw new QuantizationException(
          "the matrices take at least %d bytes in the formats that there are, and the size leaves %d for them: name a larger size"
              .formatted(used, bytes));
    }
    steps.sort(Comparator.comparingDouble(Step::gain).reversed().thenComparing(Step::tensor));
    for (Step step : steps) {
      long more = step.to.bytes - step.from.bytes;
      if (step.from.equals(chosen.get(step.tensor)) && used + more <= bytes) {
        chosen.put(step.tensor, step.to);
        used += more;
      }
    }
    return chosen;
  }

  /** The candidates that some price of a byte makes best, smallest first. */
  static List<Candidate> hull(List<Candidate> candidates) {
    List<Candidate> sorted = new ArrayList<>(candidates);
    sorted.sort(Comparator.comparingLong(Candidate::bytes).thenComparingDouble(Candidate::cost));
    List<Candidate> hull = new ArrayList<>();
    for (Candidate next : sorted) {
      if (!hull.isEmpty() && next.cost >= hull.getLast().cost) {
        continue; // not smaller, and not better
      }
      while (hull.size() > 1 && !convex(hull.get(hull.size() - 2), hull.getLast(), next)) {
        hull.removeLast();
      }
      hull.add(next);
    }
    return hull;
  }

  /** Whether the middle one lies below the line between the others. */
  private static boolean convex(Candidate a, Candidate b, Candidate c) {
    return (a.cost - b.cost) * (c.bytes - a.bytes) > (a.cost - c.cost) * (b.bytes - a.bytes);
  }
}
