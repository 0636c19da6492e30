package dev.jacquard.evaluation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.jacquard.sampling.NonFiniteLogitsException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class PerplexityTest {
  private static final Perplexity.Progress QUIET = (done, total, perplexity) -> {};
  private static final int VOCABULARY = 5;

  /** A model that gives the token after {@code token} the odds {@code 1 + token % 3} to 1. */
  private static float[] logitsAfter(int token) {
    float[] logits = new float[VOCABULARY];
    logits[(token + 1) % VOCABULARY] = (float) Math.log(1 + token % 3);
    return logits;
  }

  private static double loss(int token, int next) {
    double odds = 1 + token % 3;
    double probability = (next == (token + 1) % VOCABULARY ? odds : 1) / (odds + VOCABULARY - 1);
    return -Math.log(probability);
  }

  private static final Perplexity.Evaluator MODEL =
      (tokens, outputs, consumer) -> {
        for (int i = tokens.length - outputs; i < tokens.length; i++) {
          consumer.accept(i, logitsAfter(tokens[i]));
        }
      };

  private static int[] text(int n) {
    int[] tokens = new int[n];
    for (int i = 0; i < n; i++) {
      tokens[i] = i * i % VOCABULARY;
    }
    return tokens;
  }

  @Test
  void theSecondHalfOfEachWindowIsScored() {
    int window = 8;
    int[] tokens = text(3 * window + 5);
    List<Double> losses = new ArrayList<>();
    for (int w = 0; w < 3; w++) {
      // Tokens 5, 6 and 7 of each window of 8.
      for (int i = w * window + 5; i < (w + 1) * window; i++) {
        losses.add(loss(tokens[i - 1], tokens[i]));
      }
    }
    double mean = losses.stream().mapToDouble(x -> x).average().orElseThrow();
    double variance =
        losses.stream().mapToDouble(x -> (x - mean) * (x - mean)).sum() / (losses.size() - 1);
    Perplexity found = Perplexity.measure(tokens, window, -1, MODEL, QUIET);
    assertEquals(9, found.tokens());
    assertEquals(Math.exp(mean), found.perplexity(), 1e-6);
    double standardError = Math.sqrt(variance / losses.size());
    assertEquals(standardError * Math.exp(mean), found.uncertainty(), 1e-6);
  }

  @Test
  void oddWindowsScoreWhatLlamaCppScores() {
    // first = 7 / 2 = 3: its positions 3 to 5 predict tokens 4 to 6.
    assertEquals(3, Perplexity.measure(text(7), 7, -1, MODEL, QUIET).tokens());
    assertEquals(1, Perplexity.measure(text(3), 3, -1, MODEL, QUIET).tokens());
    assertEquals(255, Perplexity.measure(text(512), 512, -1, MODEL, QUIET).tokens());
  }

  @Test
  void bosReplacesTheFirstTokenOfEachWindow() {
    int[] tokens = text(16);
    int[] before = tokens.clone();
    List<int[]> given = new ArrayList<>();
    Perplexity.Evaluator recording =
        (window, outputs, consumer) -> {
          given.add(window.clone());
          assertEquals(3, outputs);
          MODEL.evaluate(window, outputs, consumer);
        };
    Perplexity.measure(tokens, 8, 4, recording, QUIET);
    assertEquals(2, given.size());
    for (int w = 0; w < 2; w++) {
      int[] expected = Arrays.copyOfRange(tokens, w * 8, w * 8 + 7);
      expected[0] = 4;
      assertArrayEquals(expected, given.get(w));
    }
    assertArrayEquals(before, tokens);
  }

  @Test
  void certainAndUniformModels() {
    Perplexity.Evaluator uniform =
        (tokens, outputs, consumer) -> {
          for (int i = 0; i < outputs; i++) {
            consumer.accept(i, new float[VOCABULARY]);
          }
        };
    Perplexity found = Perplexity.measure(text(32), 16, -1, uniform, QUIET);
    assertEquals(VOCABULARY, found.perplexity(), 1e-9);
    assertEquals(0, found.uncertainty(), 1e-6);
  }

  @Test
  void progressIsToldWindowByWindow() {
    List<String> told = new ArrayList<>();
    Perplexity found =
        Perplexity.measure(
            text(40), 16, -1, MODEL, (done, total, p) -> told.add(done + "/" + total + " " + p));
    assertEquals(2, told.size());
    assertEquals("2/2 " + found.perplexity(), told.getLast());
  }

  @Test
  void badInputIsRefused() {
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> Perplexity.measure(text(7), 8, -1, MODEL, QUIET));
    assertEquals(
        "the text has 7 tokens and fills no window of 8; give a longer text or a smaller window",
        e.getMessage());
    assertThrows(
        IllegalArgumentException.class, () -> Perplexity.measure(text(7), 2, -1, MODEL, QUIET));
    assertThrows(
        NonFiniteLogitsException.class,
        () ->
            Perplexity.measure(
                text(8),
                8,
                -1,
                (tokens, outputs, consumer) -> consumer.accept(0, new float[] {0, Float.NaN}),
                QUIET));
    assertThrows(
        IllegalStateException.class,
        () -> Perplexity.measure(text(8), 8, -1, (tokens, outputs, consumer) -> {}, QUIET));
  }
}
