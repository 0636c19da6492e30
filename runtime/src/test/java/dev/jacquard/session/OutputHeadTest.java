package dev.jacquard.session;

import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.sampling.SamplingSettings;
import dev.jacquard.session.TestModels.Output;
import dev.jacquard.testing.GemmaModel;
import dev.jacquard.testing.TestData;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Generations whose head computes few logits have the tokens of those that compute all. */
@Timeout(240)
final class OutputHeadTest {
  private static final int[] TEXT = TestData.ids(TestData.resource("reference/java-7m.tokens.txt"));

  /** Settings of every kind: top-k with and without top-p and min-p, min-p alone, greedy. */
  private static SamplingSettings settings(Random random) {
    float[] topPs = {1, 0.95f, 0.5f};
    float[] minPs = {0, 0.05f, 0.2f};
    int[] topKs = {0, 5, 40};
    return new SamplingSettings(
        random.nextInt(5) * 0.3f,
        topKs[random.nextInt(3)],
        topPs[random.nextInt(3)],
        minPs[random.nextInt(3)],
        1,
        64,
        random.nextLong());
  }

  private static Output generate(
      Model model, HeadClass head, SamplingSettings settings, double margin, int[] prompt) {
    try (Session session = model.newSession()) {
      GenerationRequest request =
          GenerationRequest.of(prompt)
              .withMaxTokens(24)
              .withSampling(settings)
              .withIgnoreEos(true)
              .withMargin(margin)
              .withHead(head);
      return read(session.generate(request));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "vector"})
  void tokensAreThoseOfDense(String backend) {
    ModelOptions options = ModelOptions.DEFAULT.withBackend(backend).withThreads(2);
    Random random = new Random(3);
    int rounds = backend.equals("vector") ? 40 : 4;
    int fewer = 0;
    try (Model model = Jacquard.open(TestData.bundledModel(), options)) {
      for (int round = 0; round < rounds; round++) {
        SamplingSettings settings = settings(random);
        int from = random.nextInt(TEXT.length - 20);
        int[] prompt = Arrays.copyOfRange(TEXT, from, from + 20);
        Output dense = generate(model, HeadClass.DENSE, settings, 0, prompt);
        Output certified = generate(model, HeadClass.CERTIFIED, settings, 0, prompt);
        assertEquals(dense.ids(), certified.ids(), settings.toString());
        HeadStatistics head = certified.end().statistics().head();
        assertEquals(23, head.rows());
        fewer += head.dense() < head.rows() ? 1 : 0;
        HeadStatistics all = dense.end().statistics().head();
        assertEquals(1, all.share());
        assertEquals(all.rows(), all.dense());
        assertEquals(model.vocabulary(), all.candidatesP95());
      }
    }
    assertTrue(fewer > rounds / 4, fewer + " generations computed fewer logits");
  }

  @Test
  void whatItReadIsCounted() {
    ModelOptions options = ModelOptions.DEFAULT.withBackend("vector").withThreads(1);
    int[] prompt = Arrays.copyOf(TEXT, 30);
    try (Model model = Jacquard.open(TestData.bundledModel(), options)) {
      GenerationStatistics dense =
          generate(model, HeadClass.DENSE, SamplingSettings.GREEDY, 0, prompt).end().statistics();
      GenerationStatistics fewer =
          generate(model, HeadClass.SIXSIGMA, SamplingSettings.GREEDY, 0, prompt)
              .end()
              .statistics();
      HeadStatistics head = fewer.head();
      assertEquals(HeadClass.SIXSIGMA, head.headClass());
      assertTrue(head.share() < 0.7, "share " + head.share());
      assertTrue(head.candidatesMean() <= head.candidatesP95() * 20);
      assertTrue(head.candidatesP95() < model.vocabulary() / 8);
      double spared = (double) (head.bytesDense() - head.bytesRead()) / head.rows();
      assertEquals(dense.bytesPerToken() - spared, (double) fewer.bytesPerToken(), 2);
    }
  }

  @Test
  void whyAllLogitsAreComputedIsSaid() {
    ModelOptions options = ModelOptions.DEFAULT.withBackend("reference").withThreads(1);
    SamplingSettings penalised = new SamplingSettings(0, 0, 1, 0, 1.1f, 64, 0);
    try (Model model = Jacquard.open(TestData.bundledModel(), options);
        Session session = model.newSession()) {
      GenerationRequest request = GenerationRequest.of(TEXT[0]).withMaxTokens(3);
      HeadStatistics small = read(session.generate(request)).end().statistics().head();
      assertEquals(HeadClass.DENSE, small.headClass());
      assertTrue(small.reason().contains("32,768"), small.reason());
      HeadStatistics all =
          read(session.generate(request.withSampling(penalised).withHead(HeadClass.CERTIFIED)))
              .end()
              .statistics()
              .head();
      assertEquals(HeadClass.DENSE, all.headClass());
      assertTrue(all.reason().contains("penalised"), all.reason());
    }
  }

  /** The margin's second best logit is among the candidates, or farther away. */
  @Test
  void aMarginSeesTheSameTokens(@TempDir Path folder) throws IOException {
    Path own = folder.resolve("model.gguf");
    Files.copy(TestData.bundledModel(), own);
    ModelOptions options =
        ModelOptions.DEFAULT.withBackend("vector").withThreads(2).withKvFormat(KvFormat.Q8);
    int[] prompt = Arrays.copyOf(TEXT, 100);
    try (Model model = Jacquard.open(own, options);
        Session session = model.newSession(AttentionPolicy.parse("certified:0.5", 0))) {
      GenerationRequest request =
          GenerationRequest.of(prompt)
              .withMaxTokens(40)
              .withSampling(SamplingSettings.GREEDY)
              .withIgnoreEos(true)
              .withMargin(1);
      Output dense = read(session.generate(request.withHead(HeadClass.DENSE)));
      session.rewind(0);
      Output certified = read(session.generate(request.withHead(HeadClass.CERTIFIED)));
      assertEquals(dense.ids(), certified.ids());
      int redone = dense.end().statistics().attention().redone();
      assertEquals(redone, certified.end().statistics().attention().redone());
      assertNotEquals(0, redone);
    }
  }

  /** Where it is the default: 262,144 tokens, a matrix in Q8_0. */
  @Test
  void aLargeVocabularyIsCertifiedByDefault() throws IOException {
    ModelOptions options = ModelOptions.DEFAULT.withBackend("vector").withThreads(2);
    Random random = new Random(4);
    try (Model model = Jacquard.open(GemmaModel.file(), options)) {
      int[] prompt =
          model
              .tokenizer()
              .encode(
                  "public final class Point {\n  private final int x;\n",
                  Tokenizer.Options.DEFAULT);
      for (int round = 0; round < 4; round++) {
        SamplingSettings settings =
            round == 0
                ? SamplingSettings.GREEDY
                : new SamplingSettings(0.8f, 40, 0.95f, 0.05f, 1, 64, random.nextLong());
        Output dense = generate(model, HeadClass.DENSE, settings, 0, prompt);
        List<Integer> ids = generate(model, HeadClass.SIXSIGMA, settings, 0, prompt).ids();
        assertEquals(24, ids.size());
        try (Session session = model.newSession()) {
          Output standard =
              read(
                  session.generate(
                      GenerationRequest.of(prompt)
                          .withMaxTokens(24)
                          .withIgnoreEos(true)
                          .withSampling(settings)));
          assertEquals(dense.ids(), standard.ids());
          HeadStatistics head = standard.end().statistics().head();
          assertEquals(HeadClass.CERTIFIED, head.headClass());
          assertTrue(head.share() < 0.8, "share " + head.share());
        }
      }
    }
  }
}
