package dev.jacquard.evaluation.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MirroredHeadTest {
  private static final int KEY = 8;
  private static final int VALUE = 6;
  private static final int TOKENS = 1100; // more than one block, and an open page

  private final Random random = new Random(5);
  private final float[][] keys = new float[TOKENS][];
  private final float[][] values = new float[TOKENS][];
  private MirroredHead head = new MirroredHead(KEY, VALUE);

  @BeforeEach
  void fill() {
    head = new MirroredHead(KEY, VALUE);
    for (int t = 0; t < TOKENS; t++) {
      keys[t] = gaussian(KEY);
      values[t] = gaussian(VALUE);
      head.append(keys[t], values[t]);
    }
  }

  private float[] gaussian(int size) {
    float[] x = new float[size];
    for (int i = 0; i < size; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private static double dot(float[] a, int at, float[] b) {
    double sum = 0;
    for (int i = 0; i < b.length; i++) {
      sum += a[at + i] * (double) b[i];
    }
    return sum;
  }

  @Test
  void scoresAndSumsAreThoseOfAllTokens() {
    float[] queries = gaussian(2 * KEY);
    float[] scores = new float[2 * 2000];
    head.scores(queries, 0, 2, 0.5f, scores, 2000);
    double[] sum = new double[VALUE];
    for (int t = 0; t < TOKENS; t++) {
      assertEquals(0.5 * dot(queries, 0, keys[t]), scores[t], 1e-5);
      assertEquals(0.5 * dot(queries, KEY, keys[t]), scores[2000 + t], 1e-5);
      for (int c = 0; c < VALUE; c++) {
        sum[c] += scores[2000 + t] * (double) values[t][c];
      }
    }
    double[] weighed = head.weigh(scores, 2000);
    for (int c = 0; c < VALUE; c++) {
      assertEquals(sum[c], weighed[c], 1e-3);
    }
  }

  @Test
  void pageBoundsHoldAndMeansAreMeans() {
    float[] query = gaussian(KEY);
    for (int page = 0; page < head.pages(); page++) {
      double bound = head.questBound(page, query, 0);
      double sum = 0;
      for (int t = 16 * page; t < 16 * page + 16; t++) {
        double score = dot(query, 0, keys[t]);
        assertTrue(score <= bound + 1e-5, "token " + t + ": " + score + " > " + bound);
        sum += score;
      }
      assertEquals(sum / 16, head.meanScore(page, query, 0), 1e-4);
    }
  }

  @Test
  void diameterIsBetweenTheLargestSpreadAndTheTruthAndFollowsTruncation() {
    double whole = requireDiameter(TOKENS / 16 * 16);
    head.truncate(33);
    assertTrue(requireDiameter(32) < whole);
    head.truncate(16); // the only page is open
    assertEquals(0, head.diameter());
  }

  /** Checks the diameter of the first {@code tokens}, which are in closed pages; returns it. */
  private double requireDiameter(int tokens) {
    double largest = 0;
    double spread = 0;
    for (int t = 0; t < tokens; t++) {
      double[] mean = new double[VALUE];
      for (int u = t / 16 * 16; u < t / 16 * 16 + 16; u++) {
        for (int c = 0; c < VALUE; c++) {
          mean[c] += values[u][c] / 16.0;
        }
        largest = Math.max(largest, Math.sqrt(square(values[t], values[u])));
      }
      double square = 0;
      for (int c = 0; c < VALUE; c++) {
        square += (values[t][c] - mean[c]) * (values[t][c] - mean[c]);
      }
      spread = Math.max(spread, Math.sqrt(square));
      for (int u = 0; u < t; u++) {
        largest = Math.max(largest, Math.sqrt(square(values[t], values[u])));
      }
    }
    double found = head.diameter();
    assertTrue(found <= largest && found >= spread * 0.999, spread + " " + found + " " + largest);
    assertTrue(found > 1.1 * spread, "tokens of different pages are farther apart");
    return found;
  }

  private static double square(float[] a, float[] b) {
    double sum = 0;
    for (int c = 0; c < a.length; c++) {
      double difference = (double) a[c] - b[c];
      sum += difference * difference;
    }
    return sum;
  }
}
