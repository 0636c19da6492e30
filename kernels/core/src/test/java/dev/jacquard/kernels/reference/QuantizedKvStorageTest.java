package dev.jacquard.kernels.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class QuantizedKvStorageTest {
  private static final int KEY = 36;
  private static final int VALUE = 40;
  private static final KvSpec SPEC =
      new KvSpec(List.of(new KvSpec.Layer(2, KEY, VALUE, 0), new KvSpec.Layer(1, 7, 20, 50)));

  private final Random random = new Random(11);
  private final QuantizedKvStorage storage =
      (QuantizedKvStorage) ReferenceKvStorage.allocate(SPEC, KvFormat.Q8);

  @AfterEach
  void close() {
    storage.close();
  }

  private float[] normal(int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private float[] value(int page, int offset, int head) {
    float[] read = new float[VALUE];
    storage.readValue(0, page, offset, head, read, 0);
    return read;
  }

  private float[] mean(int page, int head) {
    float[] read = new float[VALUE];
    storage.readMean(0, page, head, read, 0);
    return read;
  }

  private static double distance(float[] a, float[] b) {
    double squares = 0;
    for (int i = 0; i < a.length; i++) {
      squares += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
    }
    return Math.sqrt(squares);
  }

  @Test
  void aNumberIsOffByHalfAStepOfItsOwnGroup() {
    storage.grow(0, 1);
    float[] keys = normal(2 * KEY);
    float[] values = normal(2 * VALUE);
    keys[KEY + 3] = 1e4f;
    values[5] = -1e4f;
    storage.write(0, 0, 9, keys, 0, values, 0);
    for (int head = 0; head < 2; head++) {
      float[] key = new float[KEY];
      storage.readKey(0, 0, 9, head, key, 0);
      requireHalfAStep(Arrays.copyOfRange(keys, head * KEY, (head + 1) * KEY), key);
      requireHalfAStep(
          Arrays.copyOfRange(values, head * VALUE, (head + 1) * VALUE), value(0, 9, head));
    }
  }

  /** The scale itself is rounded too, by at most 1/2048, and the largest code is 127. */
  private static void requireHalfAStep(float[] written, float[] read) {
    for (int group = 0; group < written.length; group += QuantizedKv.GROUP) {
      float largest = 0;
      int end = Math.min(written.length, group + QuantizedKv.GROUP);
      for (int i = group; i < end; i++) {
        largest = Math.max(largest, Math.abs(written[i]));
      }
      for (int i = group; i < end; i++) {
        assertEquals(written[i], read[i], largest * (0.5 / 127 + 1.0 / 1024), "channel " + i);
      }
    }
  }

  @Test
  void fourBitsAreTheMiddleOfSixteenCodesAndTheResidualSaysHowFarOff() {
    storage.grow(0, 1);
    float[] values = new float[2 * VALUE];
    for (int i = 0; i < 32; i++) {
      values[i] = 127 - 8 * i;
    }
    storage.write(0, 0, 0, new float[2 * KEY], 0, values, 0);
    float[] coarse = new float[VALUE];
    storage.readCoarseValue(0, 0, 0, 0, coarse, 0);
    for (int i = 0; i < 32; i++) {
      assertEquals(Math.floorDiv(127 - 8 * i, 16) * 16 + 8, coarse[i]);
    }
    double lost = distance(value(0, 0, 0), coarse);
    assertEquals(lost, storage.residual(0, 0, 0, 0), lost / 1024);
    assertTrue(storage.residual(0, 0, 0, 0) >= lost);
  }

  @Test
  void aPageMeanIsThatOfTheWrittenTokensAndItsStretchAndSpreadHold() {
    storage.grow(0, 2);
    for (int t = 0; t < KvStorage.PAGE_TOKENS; t++) {
      storage.write(0, 0, t, normal(2 * KEY), 0, normal(2 * VALUE), 0);
    }
    for (int tokens : new int[] {16, 1, 5}) {
      storage.summarise(0, 0, tokens);
      requireSummary(0, tokens);
      storage.copyPage(0, 0, 1, tokens);
      requireSummary(1, tokens);
    }
  }

  private void requireStretch(int page, int head, int tokens, float[] mean, double stretch) {
    double[] sum = new double[VALUE];
    double weights = 0;
    for (int t = 0; t < tokens; t++) {
      double weight = random.nextGaussian();
      weights += weight * weight;
      float[] value = value(page, t, head);
      for (int c = 0; c < VALUE; c++) {
        sum[c] += weight * (value[c] - mean[c]);
      }
    }
    double squares = 0;
    for (double x : sum) {
      squares += x * x;
    }
    assertTrue(Math.sqrt(squares) <= Math.sqrt(weights) * stretch * (1 + 1e-6));
  }

  private void requireSummary(int page, int tokens) {
    for (int head = 0; head < 2; head++) {
      float[] mean = mean(page, head);
      double diameter = 0;
      double farthest = 0;
      double squares = 0;
      double[] sum = new double[VALUE];
      for (int a = 0; a < tokens; a++) {
        double distance = distance(value(page, a, head), mean);
        farthest = Math.max(farthest, distance);
        squares += distance * distance;
        for (int b = 0; b < a; b++) {
          diameter = Math.max(diameter, distance(value(page, a, head), value(page, b, head)));
        }
        for (int c = 0; c < VALUE; c++) {
          sum[c] += value(page, a, head)[c];
        }
      }
      for (int c = 0; c < VALUE; c++) {
        assertEquals(sum[c] / tokens, mean[c], 0.51 * storage.meanScale(0, page, head));
      }
      double stretch = storage.stretch(0, page, head);
      assertTrue(stretch >= farthest && stretch <= Math.sqrt(squares) * 1.001, "" + stretch);
      for (int i = 0; i < 100; i++) {
        requireStretch(page, head, tokens, mean, stretch);
      }
      double spread = storage.spread(0, page, head);
      assertTrue(spread <= diameter && (tokens == 1 || spread >= diameter / 2.01), "" + spread);
    }
  }

  @Test
  void aCopiedPageHoldsTheSameNumbers() {
    storage.grow(0, 2);
    storage.sketch(0, List.of(identity(KEY), identity(KEY)));
    for (int t = 0; t < 7; t++) {
      storage.write(0, 0, t, normal(2 * KEY), 0, normal(2 * VALUE), 0);
    }
    storage.copyPage(0, 0, 1, 7);
    float[][] keys = new float[2][KEY];
    double[][] sketches = new double[2][KEY];
    for (int t = 0; t < 7; t++) {
      for (int page = 0; page < 2; page++) {
        storage.readKey(0, page, t, 1, keys[page], 0);
        storage.readSketch(0, page, t, 1, sketches[page]);
      }
      assertArrayEquals(keys[0], keys[1]);
      assertArrayEquals(sketches[0], sketches[1]);
      assertArrayEquals(value(0, t, 1), value(1, t, 1));
      assertEquals(storage.residual(0, 0, t, 1), storage.residual(0, 1, t, 1));
    }
  }

  /** One bit for each channel of a key as it is, in steps of 2. */
  private static SketchBasis identity(int size) {
    float[] unit = new float[size * size];
    byte[] bits = new byte[size];
    float[] step = new float[size];
    for (int i = 0; i < size; i++) {
      unit[i * size + i] = 1;
      bits[i] = 1;
      step[i] = 2;
    }
    return new SketchBasis(new float[size], unit, unit, bits, step, 1);
  }

  @Test
  void aToleranceIsFiniteAndAboveZero() {
    SketchBasis basis = identity(KEY);
    assertEquals(0.5f, basis.withTolerance(0.5f).tolerance());
    for (float wrong : new float[] {0, -1, Float.NaN, Float.POSITIVE_INFINITY}) {
      assertThrows(IllegalArgumentException.class, () -> basis.withTolerance(wrong));
    }
  }

  @Test
  void aSketchRoundsToTheMiddleOfItsIntervalsWheneverTheBasisComes() {
    storage.grow(0, 1);
    SketchBasis basis =
        new SketchBasis(
            constant(KEY, 0.5f),
            rows(KEY, 3, 0, 20),
            rows(KEY, 3, 0, 20),
            new byte[] {1, 3, 7},
            new float[] {2, 0.5f, 0.01f},
            1);
    float[] keys = normal(2 * KEY);
    keys[3] = -0.1f;
    keys[0] = 3;
    keys[20] = 0.7f;
    storage.write(0, 0, 4, keys, 0, new float[2 * VALUE], 0);
    assertFalse(storage.sketched(0));
    storage.sketch(0, List.of(basis, basis));
    assertTrue(storage.sketched(0));
    double[] late = new double[3];
    storage.readSketch(0, 0, 4, 0, late);
    assertEquals(-1, late[0], 1e-6, "only the sign is kept");
    assertEquals(1.75, late[1], 1e-6, "2.5 is beyond the last interval");
    assertEquals(0.2, late[2], 0.02);
    storage.write(0, 0, 4, keys, 0, new float[2 * VALUE], 0);
    double[] early = new double[3];
    storage.readSketch(0, 0, 4, 0, early);
    assertArrayEquals(late, early);
  }

  private static float[] constant(int count, float value) {
    float[] x = new float[count];
    Arrays.fill(x, value);
    return x;
  }

  private static float[] rows(int size, int... channels) {
    float[] x = new float[channels.length * size];
    for (int c = 0; c < channels.length; c++) {
      x[c * size + channels[c]] = 1;
    }
    return x;
  }

  @Test
  void numbersThatAreNotFiniteSpoilTheirGroupAndTheMeanOfThePage() {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      storage.grow(0, 1);
      float[] keys = normal(2 * KEY);
      float[] values = normal(2 * VALUE);
      keys[KEY - 1] = bad;
      values[VALUE + 33] = bad;
      storage.write(0, 0, 0, keys, 0, values, 0);
      storage.summarise(0, 0, 1);
      float[] key = new float[KEY];
      storage.readKey(0, 0, 0, 0, key, 0);
      assertTrue(Float.isFinite(key[31]) && Float.isNaN(key[32]) && Float.isNaN(key[35]));
      float[] value = value(0, 0, 1);
      assertTrue(Float.isFinite(value[31]) && Float.isNaN(value[32]) && Float.isNaN(value[39]));
      assertTrue(Float.isNaN(storage.residual(0, 0, 0, 1)));
      assertTrue(Float.isNaN(storage.meanScale(0, 0, 0)), "by its key");
      assertTrue(Float.isNaN(storage.meanScale(0, 0, 1)), "by its value");
    }
  }

  @Test
  void aPageTakesTheBytesOfTheFormatAndNoMore() {
    for (int group = 0; group < 2; group++) {
      assertEquals(
          KvStorage.PAGE_TOKENS * SPEC.tokenBytes(group, KvFormat.Q8),
          (double) storage.pageBytes(group));
      storage.grow(group, 3);
      int layer = group;
      assertEquals(storage.pageBytes(group), storage.page(layer, 2).byteSize());
    }
    storage.write(1, 2, 15, normal(7), 0, normal(20), 0);
    storage.write(0, 2, 15, normal(2 * KEY), 0, normal(2 * VALUE), 0);
  }

  @Test
  void basesThatDoNotFitAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> storage.sketch(0, List.of(identity(KEY))));
    assertThrows(
        IllegalArgumentException.class,
        () -> storage.sketch(0, List.of(identity(KEY), identity(KEY + 1))));
    assertThrows(IllegalArgumentException.class, () -> storage.sketch(1, List.of(identity(7))));
    try (KvStorage halves = ReferenceKvStorage.allocate(SPEC, KvFormat.F16)) {
      assertThrows(
          IllegalArgumentException.class,
          () -> halves.sketch(0, List.of(identity(KEY), identity(KEY))));
    }
  }
}
