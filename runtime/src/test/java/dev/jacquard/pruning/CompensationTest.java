package dev.jacquard.pruning;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/** A layer of 40 neurons of which the last eight are removed. */
class CompensationTest {
  private static final int NEURONS = 40;
  private static final int KEPT = 32;
  private static final int WIDTH = 6;
  private static final int ROWS = 2000;

  private final Random random = new Random(4);
  private final float[] hidden = new float[ROWS * NEURONS];
  private final float[] weights = new float[WIDTH * NEURONS];
  private final int[] kept = new int[KEPT];
  private final NeuronStatistics statistics = new NeuronStatistics(NEURONS);
  private final Gram gram = new Gram(NEURONS);

  /**
   * Hidden values of very different sizes.
   *
   * @param constant added to those that are removed
   */
  private void fill(float constant) {
    for (int k = 0; k < KEPT; k++) {
      kept[k] = k;
    }
    for (int t = 0; t < ROWS; t++) {
      for (int i = 0; i < KEPT; i++) {
        hidden[t * NEURONS + i] = (float) ((random.nextGaussian() + 0.1) * Math.pow(10, i % 5 - 2));
      }
      for (int i = KEPT; i < NEURONS; i++) {
        int a = t * NEURONS + i - KEPT;
        hidden[t * NEURONS + i] = 2 * hidden[a] - 0.5f * hidden[a + 5] + constant;
      }
    }
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) random.nextGaussian();
    }
    statistics.add(hidden, ROWS);
    for (int t = 0; t < ROWS; t += 100) { // also counts that are no multiple of what goes together
      float[] part = new float[100 * NEURONS];
      System.arraycopy(hidden, t * NEURONS, part, 0, part.length);
      gram.add(part, 33);
      System.arraycopy(part, 33 * NEURONS, part, 0, 67 * NEURONS);
      gram.add(part, 67);
    }
  }

  /** Error of the layer's output, relative to what the removed neurons gave. */
  private double error(Compensation.Down down) {
    double error = 0;
    double lost = 0;
    for (int t = 0; t < ROWS; t++) {
      for (int r = 0; r < WIDTH; r++) {
        double whole = 0;
        double without = 0;
        double smaller = down.bias() == null ? 0 : down.bias()[r];
        for (int i = 0; i < NEURONS; i++) {
          double part = (double) weights[r * NEURONS + i] * hidden[t * NEURONS + i];
          whole += part;
          without += i < KEPT ? part : 0;
        }
        for (int k = 0; k < KEPT; k++) {
          smaller += (double) down.weights()[r * KEPT + k] * hidden[t * NEURONS + k];
        }
        error += (smaller - whole) * (smaller - whole);
        lost += (without - whole) * (without - whole);
      }
    }
    return error / lost;
  }

  private Compensation.Down apply(Compensation compensation, boolean biased) {
    return compensation.apply(
        weights, WIDTH, kept, statistics, new Products(gram, statistics, biased), biased);
  }

  @Test
  void productsAreThoseOfTheRows() {
    fill(1);
    for (int i : new int[] {0, 7, 39}) {
      for (int j : new int[] {0, 8, 39}) {
        double sum = 0;
        double size = 0;
        for (int t = 0; t < ROWS; t++) {
          double product = (double) hidden[t * NEURONS + i] * hidden[t * NEURONS + j];
          sum += product;
          size += Math.abs(product);
        }
        assertEquals(sum / ROWS, gram.mean(i, j), 1e-5 * size / ROWS);
      }
    }
  }

  /** Removed neurons are sums of others, so these leave nothing of them; of the others they do. */
  @Test
  void residualsAreWhatTheOthersCannotSay() {
    fill(0);
    double[] residuals = new Products(gram, statistics, true).residuals();
    for (int i = KEPT; i < NEURONS; i++) {
      assertTrue(residuals[i] < 0.05 * statistics.variance(i), i + ": " + residuals[i]);
    }
    for (int i = 20; i < KEPT; i++) { // in none of the sums
      assertEquals(statistics.variance(i), residuals[i], 0.1 * statistics.variance(i));
    }
    double[] norms = new double[NEURONS];
    java.util.Arrays.fill(norms, 2);
    double[] scores =
        NeuronScore.RESIDUAL.of(statistics, norms, new Products(gram, statistics, true), 1);
    assertEquals(4 * residuals[3], scores[3], 1e-12 + 1e-9 * scores[3]);
  }

  @Test
  void sumsOfRemainingNeuronsReplaceWhatIsRemoved() {
    fill(0);
    Compensation.Down down = apply(Compensation.FULL, false);
    assertNull(down.bias());
    assertTrue(error(down) < 1e-3, "error " + error(down));
  }

  @Test
  void aConstantGoesIntoTheBias() {
    fill(30);
    assertTrue(error(apply(Compensation.FULL, true)) < 1e-3);
    assertTrue(error(apply(Compensation.FULL, false)) > 1e-2, "no bias to hold the constant");
    Compensation.Down mean = apply(Compensation.MEAN, true);
    assertNotNull(mean.bias());
    assertTrue(error(mean) < 0.9 && error(mean) > 1e-3, "error " + error(mean));
  }

  @Test
  void withoutCompensationColumnsAreLeftOut() {
    fill(1);
    Compensation.Down none = apply(Compensation.NONE, true);
    assertNull(none.bias());
    assertEquals(1, error(none), 1e-6);
    float[] row = new float[KEPT];
    System.arraycopy(weights, NEURONS, row, 0, KEPT);
    float[] second = new float[KEPT];
    System.arraycopy(none.weights(), KEPT, second, 0, KEPT);
    assertArrayEquals(row, second);
  }
}
