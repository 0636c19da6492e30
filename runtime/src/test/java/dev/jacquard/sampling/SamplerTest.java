package dev.jacquard.sampling;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SamplerTest {
  private static final int[] NONE = {};

  private static SamplingSettings settings(float temperature, int topK, float topP, float minP) {
    return new SamplingSettings(temperature, topK, topP, minP, 1, 64, 42);
  }

  private static SamplingSettings greedyWithPenalty(float penalty, int lastN) {
    return new SamplingSettings(0, 40, 0.95f, 0.05f, penalty, lastN, 0);
  }

  @Test
  void defaultsAreThoseOfLlamaCpp() {
    // common/common.h there: temp, top_k, top_p, min_p, penalty_repeat, penalty_last_n.
    assertEquals(
        new SamplingSettings(0.8f, 40, 0.95f, 0.05f, 1.0f, 64, 0), SamplingSettings.DEFAULT);
    assertEquals(
        List.of(
            new SamplingStep.TopK(40),
            new SamplingStep.TopP(0.95f),
            new SamplingStep.MinP(0.05f),
            new SamplingStep.Temperature(0.8f),
            new SamplingStep.Draw(0)),
        SamplingStep.of(SamplingSettings.DEFAULT));
  }

  @Test
  void stepsThatChangeNothingAreLeftOut() {
    assertEquals(List.of(new SamplingStep.Draw(42)), SamplingStep.of(settings(1, 0, 1, 0)));
    assertEquals(List.of(new SamplingStep.Greedy()), SamplingStep.of(SamplingSettings.GREEDY));
    assertEquals(
        List.of(new SamplingStep.RepeatPenalty(1.1f, 8), new SamplingStep.Greedy()),
        SamplingStep.of(greedyWithPenalty(1.1f, 8)));
    assertEquals(List.of(new SamplingStep.Greedy()), SamplingStep.of(greedyWithPenalty(1.1f, 0)));
  }

  @Test
  void settingsOutOfRangeAreRefused() {
    for (float bad : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
      assertThrows(IllegalArgumentException.class, () -> settings(bad, 0, 1, 0));
      assertThrows(IllegalArgumentException.class, () -> settings(1, 0, bad, 0));
      assertThrows(IllegalArgumentException.class, () -> settings(1, 0, 1, bad));
      assertThrows(IllegalArgumentException.class, () -> greedyWithPenalty(bad, 0));
    }
    assertThrows(IllegalArgumentException.class, () -> settings(1, -1, 1, 0));
    assertThrows(IllegalArgumentException.class, () -> greedyWithPenalty(0, 1));
    assertThrows(IllegalArgumentException.class, () -> greedyWithPenalty(1, -1));
  }

  @Test
  void greedyTakesTheBestAndOfEqualsTheLowestId() {
    Sampler sampler = new Sampler(SamplingSettings.GREEDY, 5);
    assertEquals(3, sampler.sample(new float[] {-4, 1, 0, 2, 1.5f}, NONE, 0, 0, 0));
    assertEquals(1, sampler.sample(new float[] {-4, 2, 0, 2, 2}, NONE, 0, 0, 0));
    assertEquals(0, sampler.sample(new float[] {-0f, 0, -1, 0, -2}, NONE, 0, 0, 0));
  }

  @Test
  void theSamplerIsUsedAgainAndAgain() {
    Sampler sampler = new Sampler(settings(0.7f, 3, 0.9f, 0.01f), 1000);
    Random random = new Random(1);
    for (int position = 0; position < 50; position++) {
      float[] logits = new float[1000];
      for (int i = 0; i < logits.length; i++) {
        logits[i] = (float) random.nextGaussian();
      }
      int again =
          new Sampler(settings(0.7f, 3, 0.9f, 0.01f), 1000)
              .sample(logits.clone(), NONE, 0, 9, position);
      assertEquals(again, sampler.sample(logits, NONE, 0, 9, position));
    }
  }

  @Test
  void recentTokensAreLessLikelyOncePerToken() {
    // 2 / 1.5 < 1.4; without the penalty token 0 would win, penalised twice still.
    float[] logits = {2, 1.4f, -1};
    Sampler sampler = new Sampler(greedyWithPenalty(1.5f, 64), 3);
    int[] recent = {2, 0, 0, 2};
    assertEquals(1, sampler.sample(logits, recent, 4, 0, 0));
    assertEquals(2 / 1.5f, logits[0]);
    assertEquals(1.4f, logits[1]);
    assertEquals(-1.5f, logits[2]);
    // The marks are clear again.
    assertEquals(1, sampler.sample(new float[] {2, 1.4f, -1}, recent, 4, 0, 0));
  }

  @Test
  void onlyTheLastTokensArePenalised() {
    Sampler sampler = new Sampler(greedyWithPenalty(1.5f, 2), 3);
    assertEquals(0, sampler.sample(new float[] {2, 1.4f, -1}, new int[] {0, 2, 2, 0}, 3, 0, 0));
    assertEquals(1, sampler.sample(new float[] {2, 1.4f, -1}, new int[] {0, 2, 2, 0}, 4, 0, 0));
  }

  @Test
  void drawsStayAmongWhatTheStepsKeep() {
    float[] logits = {5, 4.9f, 4.8f, 1, 0, -3};
    assertEquals(Set.of(0, 1), drawn(settings(1, 2, 1, 0), logits));
    assertEquals(Set.of(0, 1, 2), drawn(settings(1, 0, 0.9f, 0), logits));
    assertEquals(Set.of(0, 1, 2, 3), drawn(settings(1, 0, 1, 0.01f), logits));
    assertEquals(Set.of(0), drawn(settings(1, 0, 0, 0), logits));
    assertEquals(Set.of(0), drawn(settings(1e-30f, 0, 1, 0), logits));
    assertEquals(Set.of(0, 1, 2, 3, 4, 5), drawn(settings(3, 0, 1, 0), logits));
  }

  private static Set<Integer> drawn(SamplingSettings settings, float[] logits) {
    Sampler sampler = new Sampler(settings, logits.length);
    var ids = new HashSet<Integer>();
    for (int position = 0; position < 2000; position++) {
      ids.add(sampler.sample(logits, NONE, 0, 0, position));
    }
    return ids;
  }

  /**
   * Pearson's chi-square over 7 degrees of freedom; 24.3 is exceeded by one fair sample in a
   * thousand.
   */
  @Test
  void drawsFollowTheProbabilities() {
    float[] logits = {1, 0.5f, 0, -0.5f, 2, -1, 0.25f, 1.5f};
    float temperature = 0.8f;
    Sampler sampler = new Sampler(settings(temperature, 0, 1, 0), logits.length);
    int draws = 50_000;
    int[] counts = new int[logits.length];
    for (int position = 0; position < draws; position++) {
      counts[sampler.sample(logits, NONE, 0, 3, position)]++;
    }
    double total = 0;
    for (float logit : logits) {
      total += Math.exp(logit / temperature);
    }
    double chiSquare = 0;
    for (int id = 0; id < logits.length; id++) {
      double expected = draws * Math.exp(logits[id] / temperature) / total;
      chiSquare += Math.pow(counts[id] - expected, 2) / expected;
    }
    assertTrue(chiSquare < 24.3, "chi-square " + chiSquare);
  }

  /** Each of the three numbers decides; neighbouring numbers are independent to a chi-square. */
  @Test
  void randomNumbersAreUniformInEachOfTheirCounters() {
    for (int counter = 0; counter < 3; counter++) {
      int[] counts = new int[16];
      var distinct = new HashSet<Double>();
      double previous = 0;
      double correlation = 0;
      int n = 16_000;
      for (int i = 0; i < n; i++) {
        double u =
            CounterRandom.uniform(counter == 0 ? i : 7, counter == 1 ? i : 7, counter == 2 ? i : 7);
        assertTrue(u >= 0 && u < 1);
        distinct.add(u);
        counts[(int) (16 * u)]++;
        correlation += (u - 0.5) * (previous - 0.5) * 12 / n;
        previous = u;
      }
      double chiSquare = 0;
      for (int count : counts) {
        chiSquare += Math.pow(count - n / 16.0, 2) / (n / 16.0);
      }
      // 15 degrees of freedom; one in a thousand exceeds 37.7. Four standard deviations of 1/√n.
      assertTrue(chiSquare < 37.7, counter + ": chi-square " + chiSquare);
      assertTrue(Math.abs(correlation) < 4 / Math.sqrt(n), counter + ": " + correlation);
      assertEquals(n, distinct.size());
    }
  }

  @Test
  void badInputIsRefused() {
    Sampler sampler = new Sampler(SamplingSettings.DEFAULT, 3);
    assertThrows(
        NonFiniteLogitsException.class,
        () -> sampler.sample(new float[] {0, Float.NaN, 1}, NONE, 0, 0, 0));
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> sampler.sample(new float[] {0, 1}, NONE, 0, 0, 0));
    assertEquals("2 logits for a vocabulary of 3", e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> new Sampler(SamplingSettings.DEFAULT, 0));
  }

  /** Few probable tokens or many, a long tail, ties. */
  private static float[] logits(int vocabulary, Random random) {
    float[] logits = new float[vocabulary];
    double spread = 0.5 + 4 * random.nextDouble();
    boolean rounded = random.nextInt(3) == 0;
    for (int i = 0; i < vocabulary; i++) {
      double x = random.nextGaussian() * spread;
      logits[i] = (float) (rounded ? Math.rint(2 * x) / 2 : x);
    }
    if (random.nextBoolean()) {
      logits[random.nextInt(vocabulary)] += 8;
    }
    return logits;
  }

  /** Computes at least what is wanted, as a head may: a few more, anywhere. */
  private static KnownLogits known(float[] logits, Wanted wanted, Random random) {
    float[] sorted = logits.clone();
    Arrays.sort(sorted);
    int n = logits.length;
    double largest = sorted[n - 1];
    float least = sorted[n - Math.min(n, wanted.best())];
    int extra = random.nextInt(40);
    int[] ids = new int[n];
    float[] values = new float[n];
    int size = 0;
    for (int id = 0; id < n; id++) {
      boolean promised = logits[id] >= least && logits[id] >= largest - wanted.within();
      if (promised || random.nextInt(n) < extra) {
        ids[size] = id;
        values[size++] = logits[id];
      }
    }
    return new Known(Arrays.copyOf(ids, size), Arrays.copyOf(values, size));
  }

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Known(int[] tokens, float[] logits) implements KnownLogits {
    @Override
    public int count() {
      return tokens.length;
    }

    @Override
    public int token(int i) {
      return tokens[i];
    }

    @Override
    public float logit(int i) {
      return logits[i];
    }
  }

  @Test
  void candidatesGiveTheTokenThatAllLogitsGive() {
    Random random = new Random(5);
    float[] temperatures = {0, 0.3f, 0.8f, 1, 2};
    int[] topKs = {0, 1, 2, 10, 40};
    float[] topPs = {1, 0.99f, 0.95f, 0.7f, 0};
    float[] minPs = {0, 0.001f, 0.05f, 0.5f, 1};
    int chosen = 0;
    int undecided = 0;
    for (int round = 0; round < 40_000; round++) {
      SamplingSettings settings =
          new SamplingSettings(
              temperatures[random.nextInt(5)],
              topKs[random.nextInt(5)],
              topPs[random.nextInt(5)],
              minPs[random.nextInt(5)],
              1,
              64,
              random.nextLong());
      float[] logits = logits(200, random);
      double margin = random.nextInt(4) == 0 ? random.nextDouble() : 0;
      Optional<Wanted> wanted = Wanted.of(settings).map(w -> w.withMargin(margin));
      if (wanted.isEmpty()) {
        continue;
      }
      Sampler sampler = new Sampler(settings, logits.length);
      KnownLogits row = known(logits, wanted.get(), random);
      int token = sampler.sample(row, wanted.get().within(), 0, round);
      if (token == Sampler.UNDECIDED) {
        undecided++;
      } else {
        chosen++;
        assertEquals(
            sampler.sample(logits, NONE, 0, 0, round), token, settings + ", round " + round);
      }
    }
    assertTrue(chosen > 20_000, chosen + " chosen");
    assertTrue(undecided > 100 && undecided < chosen / 2, undecided + " undecided");
  }

  @Test
  void whatIsWantedFollowsFromTheSettings() {
    assertEquals(Optional.of(new Wanted(1, Float.POSITIVE_INFINITY)), greedy());
    assertEquals(Optional.empty(), Wanted.of(greedyWithPenalty(1.1f, 8)));
    assertEquals(Optional.empty(), Wanted.of(settings(1, 0, 1, 0)));
    assertEquals(Optional.empty(), Wanted.of(settings(1, 0, 0.9f, 0.05f)));
    Wanted defaults = Wanted.of(SamplingSettings.DEFAULT).orElseThrow();
    assertEquals(40, defaults.best());
    assertEquals(-Math.log(0.05), defaults.within(), 1e-6);
    assertTrue(defaults.within() > -Math.log(0.05f));
    assertEquals(Integer.MAX_VALUE, Wanted.of(settings(1, 0, 1, 0.1f)).orElseThrow().best());
    Wanted second = greedy().orElseThrow().withMargin(0.5);
    assertEquals(2, second.best());
    assertTrue(second.within() > 0.5);
    assertEquals(defaults, defaults.withMargin(0));
    assertEquals(4, defaults.withMargin(4).within(), 1e-6);
  }

  private static Optional<Wanted> greedy() {
    return Wanted.of(SamplingSettings.GREEDY);
  }

  @Test
  void candidatesThatAreNoNumbersAreRefused() {
    KnownLogits spoiled = new Known(new int[] {4, 7}, new float[] {1, Float.NaN});
    KnownLogits sound = new Known(new int[] {4, 7}, new float[] {1, 2});
    Sampler sampler = new Sampler(SamplingSettings.GREEDY, 9);
    assertEquals(7, sampler.sample(sound, Float.POSITIVE_INFINITY, 0, 0));
    assertThrows(
        NonFiniteLogitsException.class,
        () -> sampler.sample(spoiled, Float.POSITIVE_INFINITY, 0, 0));
    Sampler penalising = new Sampler(greedyWithPenalty(1.1f, 8), 9);
    assertThrows(
        IllegalStateException.class, () -> penalising.sample(sound, Float.POSITIVE_INFINITY, 0, 0));
  }
}
