package dev.jacquard.session;

import static dev.jacquard.session.TestModels.greedy;
import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.neurons.ColumnNorms;
import dev.jacquard.neurons.FeedForwardPolicy;
import dev.jacquard.neurons.NeuronStatistics;
import dev.jacquard.neurons.PromptNeurons;
import dev.jacquard.session.TestModels.Output;
import dev.jacquard.testing.TestData;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;

/** Neurons chosen by a prompt, from the request to the step and back; on the bundled model. */
@Timeout(120)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class PromptNeuronsTest {
  private static final int[] TEXT = TestData.ids(TestData.resource("reference/java-7m.tokens.txt"));
  private static final int PROMPT = 100;

  private final Model model =
      Jacquard.open(
          TestData.bundledModel(), ModelOptions.DEFAULT.withBackend("vector").withThreads(2));
  private final List<Op.FeedForward> layers = new ArrayList<>();

  @BeforeAll
  void findLayers() {
    for (Op op : model.program().ops()) {
      if (op instanceof Op.FeedForward layer) {
        layers.add(layer);
      }
    }
  }

  @AfterAll
  void close() {
    model.close();
  }

  private Output generate(int prompt, int tokens, String policy, double margin) {
    try (Session session = model.newSession()) {
      return read(
          session.generate(
              greedy(tokens, Arrays.copyOf(TEXT, prompt))
                  .withFeedForward(FeedForwardPolicy.parse(policy))
                  .withMargin(margin)));
    }
  }

  private static FeedForwardStatistics statistics(Output output) {
    return output.end().statistics().feedForward();
  }

  @Test
  void halfOfTheNeuronsAreHalfOfTheBytes() {
    Output dense = generate(PROMPT, 40, "dense", 0);
    Output half = generate(PROMPT, 40, "prompt:0.5", 0);
    assertEquals("dense", statistics(dense).policy());
    assertEquals(1, statistics(dense).neuronShare());
    assertEquals(1, statistics(dense).bytesShare());
    // The last layer is computed for output rows only, and keeps all its neurons.
    int pruned = layers.size() - 1;
    double expected = (0.5 * pruned + 1) / layers.size();
    assertEquals("prompt:0.5", statistics(half).policy());
    assertEquals(expected, statistics(half).neuronShare(), 0.03);
    assertTrue(statistics(half).bytesShare() < 0.5 + 0.5 * expected, half.toString());
    assertTrue(half.end().statistics().bytesPerToken() < dense.end().statistics().bytesPerToken());
    assertNotEquals(dense.ids(), half.ids());
    assertEquals(half.ids(), generate(PROMPT, 40, "prompt:0.5", 0).ids());
  }

  @Test
  void aShareThatLeavesNobodyOutChangesNothing() {
    assertEquals(
        generate(PROMPT, 40, "dense", 0).ids(), generate(PROMPT, 40, "prompt:0.001", 0).ids());
  }

  @Test
  void aMarginThatIsNeverReachedHasEveryTokenDecodedWithAll() {
    Output dense = generate(PROMPT, 20, "dense", 0);
    Output guarded = generate(PROMPT, 20, "prompt:0.75", 1000);
    assertEquals(dense.ids(), guarded.ids());
    assertEquals(19, guarded.end().statistics().attention().redone());
    assertEquals(0, generate(PROMPT, 20, "dense", 1000).end().statistics().attention().redone());
  }

  @Test
  void aShortPromptIsDecodedWithAll() {
    int few = PromptNeurons.LEAST_TOKENS / 2;
    assertEquals(1, statistics(generate(few, 20, "prompt:0.5", 0)).neuronShare());
    // With the tokens that are decoded it becomes long enough.
    assertTrue(statistics(generate(few, 60, "prompt:0.5", 0)).neuronShare() < 1);
  }

  @Test
  void aFurtherPeriodBeginsWithAllNeurons() {
    int tokens = PromptNeurons.PERIOD + PromptNeurons.GATHERED + 1;
    FeedForwardStatistics one =
        statistics(generate(PROMPT, PromptNeurons.PERIOD + 1, "prompt:0.5", 0));
    FeedForwardStatistics more = statistics(generate(PROMPT, tokens, "prompt:0.5", 0));
    long all = layers.stream().mapToLong(Op.FeedForward::neurons).sum();
    assertEquals(
        PromptNeurons.GATHERED * all, more.computed() - one.computed(), "all count, eight times");
  }

  @Test
  void neuronsAreChosenByTheirSumsAndNorms() {
    int[] prompt = Arrays.copyOf(TEXT, PROMPT);
    NeuronStatistics statistics = new NeuronStatistics(model.program());
    try (Session session = model.newSession()) {
      session.evaluate(prompt, 0, (_, _) -> {}, AttentionPolicy.DENSE, NeuronRule.ALL, statistics);
    }
    assertEquals(PROMPT, statistics.tokens());
    NeuronSet set = statistics.select(0.3, ColumnNorms.of(model.program()));
    for (Op.FeedForward layer : layers) {
      int neurons = layer.neurons();
      boolean last = layer.equals(layers.getLast());
      int kept = last ? neurons : (int) Math.ceil(0.7 * neurons / 32) * 32;
      assertEquals(Math.min(kept, neurons), set.count(layer.layer()), "layer " + layer.layer());
    }
    // All scores of the first layer anew, in a session that is asked for its hidden values.
    double[] scores = scores(prompt);
    int[] chosen = set.neurons(0);
    double least = Arrays.stream(chosen).mapToDouble(i -> scores[i]).min().orElseThrow();
    double most =
        IntStream.range(0, scores.length)
            .filter(i -> Arrays.binarySearch(chosen, i) < 0)
            .mapToDouble(i -> scores[i])
            .max()
            .orElseThrow();
    assertTrue(least >= most * (1 - 1e-6), least + " is chosen, " + most + " is not");
  }

  /** Squares of the scores of the first layer, from one evaluation for each token. */
  private double[] scores(int[] prompt) {
    Op.FeedForward layer = layers.getFirst();
    double[] sums = new double[layer.neurons()];
    float[] norms = new float[layer.neurons()];
    float[] row = new float[layer.neurons()];
    for (int r = 0; r < layer.down().weight().rows(); r++) {
      layer.down().weight().tensor().decodeRow(r, row, 0);
      for (int i = 0; i < row.length; i++) {
        norms[i] += row[i] * row[i];
      }
    }
    for (float[] hidden : HiddenValues.of(model.file(), layer, prompt)) {
      double length = 0;
      for (float h : hidden) {
        length += (double) h * h;
      }
      for (int i = 0; i < sums.length; i++) {
        sums[i] += hidden[i] * hidden[i] / length * norms[i];
      }
    }
    return sums;
  }

  @Test
  void rowsThatCarryARuleAreTheSameTogetherAndOneByOne() {
    int[] tokens = Arrays.copyOf(TEXT, 24);
    NeuronRule rule = new NeuronRule.Listed(everySecond());
    List<float[]> together = new ArrayList<>();
    List<float[]> single = new ArrayList<>();
    try (Session session = model.newSession()) {
      session.evaluate(
          tokens,
          tokens.length,
          (_, logits) -> together.add(logits.clone()),
          AttentionPolicy.DENSE,
          rule,
          null);
    }
    try (Session session = model.newSession()) {
      for (int token : tokens) {
        session.evaluate(
            new int[] {token},
            1,
            (_, logits) -> single.add(logits.clone()),
            AttentionPolicy.DENSE,
            rule,
            null);
      }
    }
    for (int i = 0; i < tokens.length; i++) {
      assertArrayEquals(together.get(i), single.get(i), "position " + i);
    }
  }

  private NeuronSet everySecond() {
    return new NeuronSet(
        layers.stream()
            .map(l -> IntStream.range(0, l.neurons()).filter(i -> i % 2 == 0).toArray())
            .toList());
  }

  @Test
  void aRuleOfAnotherModelIsRefusedAndTheSessionGoesOn() {
    NeuronRule foreign = new NeuronRule.Listed(new NeuronSet(List.of(new int[] {0})));
    try (Session session = model.newSession()) {
      assertThrows(
          IllegalArgumentException.class,
          () ->
              session.evaluate(
                  new int[] {TEXT[0]}, 0, (_, _) -> {}, AttentionPolicy.DENSE, foreign, null));
      session.evaluate(new int[] {TEXT[0]}, 0, (_, _) -> {});
      assertEquals(1, session.position());
    }
  }
}
