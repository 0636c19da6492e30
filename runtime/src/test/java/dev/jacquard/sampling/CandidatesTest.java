package dev.jacquard.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Each step against a plain version of itself that sorts everything. */
class CandidatesTest {
  private static final int TRIALS = 300;

  /** Calls {@code property} with seeded random logits of many sizes, ties and signed zeros too. */
  private static void forLogits(Consumer<float[]> property) {
    for (int trial = 0; trial < TRIALS; trial++) {
      Random random = new Random(trial);
      float[] logits = new float[1 + random.nextInt(trial % 10 == 0 ? 5000 : 40)];
      boolean coarse = random.nextBoolean();
      float spread = random.nextInt(1, 10);
      for (int i = 0; i < logits.length; i++) {
        float value = (float) random.nextGaussian() * spread;
        logits[i] = coarse ? Math.round(value) * -1f : value;
      }
      property.accept(logits);
    }
  }

  private static Candidates filled(float[] logits) {
    Candidates candidates = new Candidates(logits.length);
    candidates.fill(logits);
    return candidates;
  }

  private static List<Integer> sorted(float[] logits) {
    return IntStream.range(0, logits.length)
        .boxed()
        .sorted(
            Comparator.comparing((Integer id) -> -(logits[id] + 0f))
                .thenComparing(Comparator.naturalOrder()))
        .toList();
  }

  private static List<Integer> ids(Candidates candidates) {
    return IntStream.range(0, candidates.size()).mapToObj(candidates::id).toList();
  }

  @Test
  void holdsIdsAndLogits() {
    float[] logits = {1.5f, -2.25f, 0f, -0f, Float.MIN_VALUE, -Float.MIN_VALUE, 3e38f, -3e38f};
    Candidates candidates = filled(logits);
    assertEquals(logits.length, candidates.size());
    for (int i = 0; i < logits.length; i++) {
      assertEquals(i, candidates.id(i));
      assertEquals(logits[i] + 0f, candidates.logit(i));
    }
    assertThrows(IndexOutOfBoundsException.class, () -> candidates.id(logits.length));
  }

  @Test
  void keepTopIsTheFrontOfAFullSort() {
    forLogits(
        logits -> {
          for (int k : new int[] {1, 2, 7, 40, logits.length, logits.length + 1}) {
            Candidates candidates = filled(logits);
            candidates.keepTop(k);
            assertEquals(sorted(logits).subList(0, Math.min(k, logits.length)), ids(candidates));
          }
        });
  }

  @Test
  void keepMassIsTheShortestFrontOfThatMass() {
    forLogits(
        logits -> {
          List<Integer> order = sorted(logits);
          double total = order.stream().mapToDouble(id -> Math.exp(logits[id])).sum();
          for (float p : new float[] {0, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f}) {
            Candidates candidates = filled(logits);
            candidates.keepMass(p);
            int kept = candidates.size();
            assertEquals(order.subList(0, kept), ids(candidates));
            double mass = mass(logits, order.subList(0, kept)) / total;
            double less = mass(logits, order.subList(0, kept - 1)) / total;
            assertTrue(mass >= p - 1e-9, p + " " + mass);
            assertTrue(kept == 1 || less < p + 1e-9, p + " " + less);
          }
        });
  }

  private static double mass(float[] logits, List<Integer> ids) {
    return ids.stream().mapToDouble(id -> Math.exp(logits[id])).sum();
  }

  @Test
  void keepRelativeKeepsWhatIsProbableEnough() {
    forLogits(
        logits -> {
          double best = logits[sorted(logits).getFirst()];
          for (float p : new float[] {0.001f, 0.05f, 0.3f, 1}) {
            double least = best + Math.log(p);
            var expected = new HashSet<Integer>();
            for (int id = 0; id < logits.length; id++) {
              if (logits[id] >= least) {
                expected.add(id);
              }
            }
            Candidates candidates = filled(logits);
            candidates.keepRelative(p);
            assertEquals(expected, new HashSet<>(ids(candidates)));
            Candidates sortedFirst = filled(logits);
            sortedFirst.keepTop(logits.length);
            sortedFirst.keepRelative(p);
            assertEquals(sorted(logits).subList(0, expected.size()), ids(sortedFirst));
          }
        });
  }

  @Test
  void stepsMayFollowOneAnotherInAnyOrder() {
    forLogits(
        logits -> {
          List<Integer> order = new ArrayList<>(sorted(logits));
          Candidates candidates = filled(logits);
          candidates.keepRelative(0.01f);
          candidates.keepMass(0.9f);
          candidates.keepTop(3);
          assertEquals(order.subList(0, candidates.size()), ids(candidates));
        });
  }

  @Test
  void drawWalksTheProbabilities() {
    Candidates candidates = filled(new float[] {(float) Math.log(1), (float) Math.log(3)});
    assertEquals(0, candidates.draw(0, 1));
    assertEquals(0, candidates.draw(0.2499, 1));
    assertEquals(1, candidates.draw(0.2501, 1));
    assertEquals(1, candidates.draw(Math.nextDown(1.0), 1));
    // At temperature 1/2 the odds are 1 : 9; close to 0 the best alone is left.
    assertEquals(0, candidates.draw(0.0999, 0.5f));
    assertEquals(1, candidates.draw(0.1001, 0.5f));
    assertEquals(1, candidates.draw(0, Float.MIN_VALUE));
  }

  @Test
  void nonFiniteLogitsAreRefused() {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      var e =
          assertThrows(
              NonFiniteLogitsException.class, () -> filled(new float[] {0, 1, bad, Float.NaN}));
      assertTrue(e.toString().contains("token 2 is " + bad), e.toString());
    }
  }
}
