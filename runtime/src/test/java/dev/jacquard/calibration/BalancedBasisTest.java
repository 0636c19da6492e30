package dev.jacquard.calibration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The basis against its definition, and its sketches against the theory of quantisers. */
class BalancedBasisTest {
  private static final int SIZE = 32;

  /** Correlated normal vectors, some directions of which vary far more than others. */
  private static float[] vectors(Random random, int count, double offset) {
    double[] mix =
        IntStream.range(0, SIZE * SIZE).mapToDouble(i -> random.nextGaussian()).toArray();
    float[] vectors = new float[count * SIZE];
    for (int row = 0; row < count; row++) {
      for (int j = 0; j < SIZE; j++) {
        double x = random.nextGaussian() * Math.pow(0.8, j);
        for (int i = 0; i < SIZE; i++) {
          vectors[row * SIZE + i] += (float) (mix[i * SIZE + j] * x);
        }
      }
      for (int i = 0; i < SIZE; i++) {
        vectors[row * SIZE + i] += (float) offset;
      }
    }
    return vectors;
  }

  private static Moments moments(float[] vectors) {
    Moments moments = new Moments(SIZE);
    moments.add(vectors, 0, SIZE, vectors.length / SIZE);
    return moments;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void productsStayAndCovariancesBecomeSigma(long seed) {
    Random random = new Random(seed);
    float[] keys = vectors(random, 20_000, 3);
    float[] queries = vectors(random, 20_000, 0);
    BalancedBasis basis = BalancedBasis.of(moments(keys), moments(queries));

    Moments turnedKeys = moments(turned(keys, basis.toKey(), basis.mean()));
    Moments turnedQueries = moments(turned(queries, basis.toQuery(), new double[SIZE]));
    double[] sigma = basis.sigma();
    double fewKeys = 0.1 * SIZE / 20_000 * trace(moments(keys).covariance()) / SIZE;
    double lacking = 0.1 * trace(moments(queries).second()) / SIZE;
    float[] toKey = floats(basis.toKey());
    float[] toQuery = floats(basis.toQuery());
    for (int a = 0; a < SIZE; a++) {
      assertTrue(a == 0 || sigma[a] <= sigma[a - 1], "descending");
      for (int b = 0; b < SIZE; b++) {
        double expected = a == b ? sigma[a] : 0;
        double tolerance = 1e-3 * sigma[0] + 0.01 * expected;
        double few = fewKeys * SketchCodes.dot(toKey, a * SIZE, toKey, b * SIZE, SIZE);
        assertEquals(expected, turnedKeys.covariance()[a * SIZE + b] + few, tolerance, "keys");
        double unseen = lacking * SketchCodes.dot(toQuery, a * SIZE, toQuery, b * SIZE, SIZE);
        assertEquals(expected, turnedQueries.second()[a * SIZE + b] + unseen, tolerance, "queries");
      }
    }
    for (int row = 0; row < 100; row++) {
      double exact = SketchCodes.dot(queries, row * SIZE, keys, row * SIZE, SIZE);
      double turned = 0;
      double length = 0;
      float[] q = turned(queries, row, basis.toQuery(), new double[SIZE]);
      float[] k = turned(keys, row, basis.toKey(), basis.mean());
      for (int i = 0; i < SIZE; i++) {
        turned += queries[row * SIZE + i] * basis.mean()[i] + (double) q[i] * k[i];
        length += Math.abs((double) queries[row * SIZE + i] * keys[row * SIZE + i]);
      }
      assertEquals(exact, turned, 1e-5 * length, "row " + row);
    }
  }

  private static double trace(double[] matrix) {
    return IntStream.range(0, SIZE).mapToDouble(i -> matrix[i * SIZE + i]).sum();
  }

  private static float[] floats(double[] values) {
    float[] result = new float[values.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = (float) values[i];
    }
    return result;
  }

  private static float[] turned(float[] vectors, double[] matrix, double[] mean) {
    float[] result = new float[vectors.length];
    for (int row = 0; row < vectors.length / SIZE; row++) {
      System.arraycopy(turned(vectors, row, matrix, mean), 0, result, row * SIZE, SIZE);
    }
    return result;
  }

  private static float[] turned(float[] vectors, int row, double[] matrix, double[] mean) {
    float[] result = new float[SIZE];
    for (int c = 0; c < SIZE; c++) {
      double x = 0;
      for (int i = 0; i < SIZE; i++) {
        x += matrix[c * SIZE + i] * (vectors[row * SIZE + i] - mean[i]);
      }
      result[c] = (float) x;
    }
    return result;
  }

  @ParameterizedTest
  @ValueSource(longs = {4, 5})
  void theErrorOfNormalKeysIsWhatTheoryPredicts(long seed) {
    Random random = new Random(seed);
    float[] keys = vectors(random, 20_000, -1);
    float[] queries = vectors(random, 20_000, 0);
    BalancedBasis balanced = BalancedBasis.of(moments(keys), moments(queries));
    SketchBasis sketch = balanced.sketch();
    int[] bits = BitAllocation.of(balanced.sigma(), QuantizedKv.sketchBits(SIZE));
    double[] turned = moments(turned(queries, balanced.toQuery(), new double[SIZE])).second();
    double expected = 0;
    for (int c = 0; c < SIZE; c++) {
      double sigma = balanced.sigma()[c];
      expected += sigma * turned[c * SIZE + c] * BitAllocation.distortion(bits[c]);
    }
    double squares = 0;
    int pairs = 4000;
    for (int i = 0; i < pairs; i++) {
      int q = random.nextInt(20_000) * SIZE;
      int k = random.nextInt(20_000) * SIZE;
      double estimate =
          SketchCodes.dot(queries, q, sketch.mean(), 0, SIZE)
              + SketchCodes.dot(
                  SketchCodes.query(sketch, queries, q), SketchCodes.rounded(sketch, keys, k));
      double error = estimate - SketchCodes.dot(queries, q, keys, k, SIZE);
      squares += error * error;
    }
    assertEquals(Math.sqrt(expected), Math.sqrt(squares / pairs), 0.06 * Math.sqrt(expected));
  }

  /**
   * A head that looks for its own vector among the keys, in directions that the queries of the
   * calibration hardly took.
   */
  @Test
  void queriesThatTheCalibrationLackedFindTheirKeys() {
    Random random = new Random(8);
    int seen = 4;
    float[] keys = new float[5000 * SIZE];
    float[] queries = new float[5000 * SIZE];
    for (int i = 0; i < keys.length; i++) {
      keys[i] = (float) random.nextGaussian();
      queries[i] = (float) (random.nextGaussian() * (i % SIZE < seen ? 1 : 1e-3));
    }
    SketchBasis sketch = BalancedBasis.of(moments(keys), moments(queries)).sketch();
    double exact = 0;
    double estimated = 0;
    for (int row = 0; row < 1000; row++) {
      float[] query = Arrays.copyOfRange(keys, row * SIZE, (row + 1) * SIZE);
      Arrays.fill(query, 0, seen, 0f);
      exact += SketchCodes.dot(query, 0, keys, row * SIZE, SIZE);
      estimated +=
          SketchCodes.dot(query, 0, sketch.mean(), 0, SIZE)
              + SketchCodes.dot(
                  SketchCodes.query(sketch, query, 0),
                  SketchCodes.rounded(sketch, keys, row * SIZE));
    }
    assertTrue(
        estimated > 0.25 * exact && estimated < exact,
        "estimated %.0f of %.0f".formatted(estimated, exact));
  }

  @Test
  void allBitsAreGivenAwayAndMoreOfThemToLargerChannels() {
    double[] sigma = IntStream.range(0, 64).mapToDouble(i -> Math.pow(0.9, i)).toArray();
    int[] bits = BitAllocation.of(sigma, 64);
    assertEquals(64, IntStream.of(bits).sum());
    for (int c = 1; c < 64; c++) {
      assertTrue(bits[c] <= bits[c - 1] && bits[c] >= 0, "channel " + c);
    }
    assertArrayEquals(new int[] {7, 7}, BitAllocation.of(new double[] {1, 1}, 64), "at most 7");
    assertArrayEquals(new int[] {3, 0}, BitAllocation.of(new double[] {1, 0}, 3));
  }

  @Test
  void fewSamplesGiveABasisOfFiniteNumbers() {
    Random random = new Random(6);
    SketchBasis sketch =
        BalancedBasis.of(moments(vectors(random, 10, 0)), moments(vectors(random, 10, 0))).sketch();
    for (float[] part : new float[][] {sketch.toKey(), sketch.toQuery(), sketch.step()}) {
      for (float x : part) {
        assertTrue(Float.isFinite(x));
      }
    }
  }

  @Test
  void numbersThatDoNotVaryOrAreNotFiniteAreRefused() {
    Random random = new Random(7);
    Moments good = moments(vectors(random, 100, 0));
    float[] broken = vectors(random, 100, 0);
    broken[17] = Float.NaN;
    assertThrows(CalibrationException.class, () -> BalancedBasis.of(moments(broken), good));
    assertThrows(CalibrationException.class, () -> BalancedBasis.of(good, moments(broken)));
    Moments equal = moments(new float[100 * SIZE]);
    assertThrows(CalibrationException.class, () -> BalancedBasis.of(equal, good));
  }
}
