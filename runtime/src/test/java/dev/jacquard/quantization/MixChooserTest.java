package dev.jacquard.quantization;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.quantization.MixChooser.Candidate;
import dev.jacquard.tensor.ElementFormats;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class MixChooserTest {
  private static Candidate candidate(String format, long bytes, double cost) {
    return new Candidate(ElementFormats.byName(format).orElseThrow(), bytes, cost);
  }

  private static final List<Candidate> FOUR =
      List.of(
          candidate("F16", 160, 0),
          candidate("Q4_0", 45, 8),
          candidate("Q6_K", 66, 0.5),
          candidate("Q5_0", 55, 7.5), // above the line from Q4_0 to Q6_K
          candidate("Q8_0", 85, 0.6)); // larger than Q6_K, and worse

  @Test
  void onlyWhatSomePriceMakesBestIsLeft() {
    assertEquals(
        List.of("Q4_0", "Q6_K", "F16"),
        MixChooser.hull(FOUR).stream().map(c -> c.format().name()).toList());
  }

  private static String chosen(Map<String, Candidate> choice) {
    return new TreeMap<>(choice)
        .entrySet().stream()
            .map(e -> e.getKey() + " " + e.getValue().format().name())
            .collect(Collectors.joining(", "));
  }

  @Test
  void bytesGoWhereTheySaveMost() {
    List<Candidate> sensitive =
        FOUR.stream().map(c -> new Candidate(c.format(), c.bytes(), 10 * c.cost())).toList();
    Map<String, List<Candidate>> tensors = Map.of("a", FOUR, "b", sensitive);
    assertEquals("a Q4_0, b Q4_0", chosen(MixChooser.choose(tensors, 90)));
    assertEquals("a Q4_0, b Q4_0", chosen(MixChooser.choose(tensors, 110)));
    assertEquals("a Q4_0, b Q6_K", chosen(MixChooser.choose(tensors, 111)));
    assertEquals("a Q6_K, b Q6_K", chosen(MixChooser.choose(tensors, 132)));
    assertEquals("a F16, b F16", chosen(MixChooser.choose(tensors, 1000)));
  }

  @Test
  void aSizeThatIsTooSmallIsRefused() {
    QuantizationException e =
        assertThrows(QuantizationException.class, () -> MixChooser.choose(Map.of("a", FOUR), 44));
    assertTrue(e.toString().contains("at least 45 bytes"), e.toString());
  }

  /** Close to the best of all choices, and never over the size. */
  @Test
  void randomChoicesAreNearTheBest() {
    Random random = new Random(3);
    for (int round = 0; round < 200; round++) {
      Map<String, List<Candidate>> tensors = new HashMap<>();
      for (int t = 0; t < 5; t++) {
        double scale = Math.exp(2 * random.nextGaussian());
        long size = 1L + random.nextInt(4);
        List<Candidate> candidates = new ArrayList<>();
        for (Candidate c : FOUR) {
          candidates.add(
              new Candidate(
                  c.format(),
                  c.bytes() * size,
                  c.cost() * scale * (0.8 + 0.4 * random.nextDouble())));
        }
        tensors.put("t" + t, candidates);
      }
      long least = 0;
      for (List<Candidate> candidates : tensors.values()) {
        least += candidates.stream().mapToLong(Candidate::bytes).min().orElseThrow();
      }
      long limit = least + random.nextInt(600);
      Map<String, Candidate> choice = MixChooser.choose(tensors, limit);
      long bytes = choice.values().stream().mapToLong(Candidate::bytes).sum();
      double cost = choice.values().stream().mapToDouble(Candidate::cost).sum();
      assertTrue(bytes <= limit, bytes + " of " + limit);
      double largestStep =
          tensors.values().stream().mapToDouble(MixChooserTest::largestStep).max().orElseThrow();
      double best = best(new ArrayList<>(tensors.values()), 0, limit);
      assertTrue(cost <= best + largestStep, cost + " instead of " + best);
    }
  }

  /** What a greedy choice can lose: a step that did not fit. */
  private static double largestStep(List<Candidate> candidates) {
    List<Candidate> hull = MixChooser.hull(candidates);
    double largest = 0;
    for (int i = 1; i < hull.size(); i++) {
      largest = Math.max(largest, hull.get(i - 1).cost() - hull.get(i).cost());
    }
    return largest;
  }

  private static double best(List<List<Candidate>> tensors, int index, long bytes) {
    if (index == tensors.size()) {
      return 0;
    }
    double best = Double.POSITIVE_INFINITY;
    for (Candidate c : tensors.get(index)) {
      if (c.bytes() <= bytes) {
        best = Math.min(best, c.cost() + best(tensors, index + 1, bytes - c.bytes()));
      }
    }
    return best;
  }
}
