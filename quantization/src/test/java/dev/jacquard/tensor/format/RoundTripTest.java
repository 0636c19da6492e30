package dev.jacquard.tensor.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What encoding and decoding again costs, and what both do at their borders. */
class RoundTripTest {
  private static final List<ElementFormat> FORMATS = ElementFormats.all();

  static Stream<ElementFormat> blockFormats() {
    return FORMATS.stream().filter(f -> f.blockSize() > 1);
  }

  private static float[] gaussian(int n, long seed) {
    Random random = new Random(seed);
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private static float[] roundTrip(ElementFormat format, float[] x) {
    MemorySegment blocks = MemorySegment.ofArray(new byte[(int) format.bytes(x.length)]);
    format.encode(x, 0, x.length, blocks, 0);
    float[] y = new float[x.length];
    format.decode(blocks, 0, y, 0, y.length);
    return y;
  }

  /**
   * Root mean square error on Gaussian values of unit variance. The bounds are theory, rounded up:
   * a grid of step Δ costs Δ/√12; plain numbers cost their half unit in the last place.
   */
  @ParameterizedTest
  @CsvSource({
    "F32, 0",
    "F16, 2.5e-4",
    "BF16, 2e-3",
    "Q8_0, 6e-3",
    "Q4_0, 9e-2",
    "Q4_1, 8e-2",
    "Q5_0, 4.5e-2",
    "Q5_1, 4e-2",
    "Q4_K, 7.5e-2",
    "Q5_K, 4e-2",
    "Q6_K, 2.0e-2"
  })
  void errorOnGaussianValuesIsBounded(String name, double bound) {
    float[] x = gaussian(64 * 1024, 7);
    float[] y = roundTrip(ElementFormats.byName(name).orElseThrow(), x);
    double squares = 0;
    for (int i = 0; i < x.length; i++) {
      squares += Math.pow(x[i] - y[i], 2);
    }
    double error = Math.sqrt(squares / x.length);
    assertTrue(error <= bound, name + " costs " + error);
    assertTrue(error >= bound / 2, "the bound of " + name + " is loose: " + error);
  }

  /**
   * The check of ggml's own test-quantize-fns: the length of the error divided by the number of
   * values, on 0.1 + 2 cos(i), stays below 0.002.
   */
  @ParameterizedTest
  @FieldSource("FORMATS")
  void errorIsWithinGgmlsOwnLimit(ElementFormat format) {
    float[] x = new float[32 * 128];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) (0.1 + 2 * Math.cos(i));
    }
    float[] y = roundTrip(format, x);
    double squares = 0;
    for (int i = 0; i < x.length; i++) {
      squares += Math.pow(x[i] - y[i], 2);
    }
    assertTrue(Math.sqrt(squares) / x.length <= 0.002, format.name() + " " + Math.sqrt(squares));
  }

  /** Columns that count more are stored more exactly, at the cost of the others. */
  @ParameterizedTest
  @ValueSource(strings = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"})
  void importanceLowersTheWeightedError(String name) {
    ElementFormat format = ElementFormats.byName(name).orElseThrow();
    Random random = new Random(17);
    float[] importance = new float[1024];
    for (int i = 0; i < importance.length; i++) {
      importance[i] = (float) Math.exp(3 * random.nextGaussian());
    }
    double plain = 0;
    double weighted = 0;
    for (int row = 0; row < 50; row++) {
      float[] x = gaussian(importance.length, row);
      MemorySegment blocks = MemorySegment.ofArray(new byte[(int) format.bytes(x.length)]);
      float[] y = new float[x.length];
      format.encodeRow(x, 0, importance, blocks, 0);
      format.decode(blocks, 0, y, 0, y.length);
      float[] z = roundTrip(format, x);
      for (int i = 0; i < x.length; i++) {
        weighted += importance[i] * Math.pow(x[i] - y[i], 2);
        plain += importance[i] * Math.pow(x[i] - z[i], 2);
      }
    }
    assertTrue(weighted < 0.9 * plain, name + ": " + weighted + " against " + plain);
  }

  /**
   * Half a step of the grid, a whole one where the other sign is cut, and the rounding of the scale
   * to half precision: 2^-11 of the largest magnitude.
   */
  @ParameterizedTest
  @CsvSource({"Q8_0, 127, 0.57", "Q4_0, 8, 1.01", "Q5_0, 16, 1.01"})
  void everyElementIsWithinItsStep(String name, int steps, float share) {
    ElementFormat format = ElementFormats.byName(name).orElseThrow();
    for (int seed = 0; seed < 200; seed++) {
      float[] x = gaussian(32, seed);
      float[] y = roundTrip(format, x);
      float largest = 0;
      for (float value : x) {
        largest = Math.max(largest, Math.abs(value));
      }
      for (int i = 0; i < x.length; i++) {
        assertEquals(x[i], y[i], share * largest / steps, name + " seed " + seed + " element " + i);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("FORMATS")
  void zerosStayZeros(ElementFormat format) {
    float[] y = roundTrip(format, new float[512]);
    for (float value : y) {
      assertEquals(0, value, 0);
    }
  }

  /** The encoder writes every byte of its blocks: what was there before does not matter. */
  @ParameterizedTest
  @FieldSource("FORMATS")
  void oldBytesDoNotShineThrough(ElementFormat format) {
    float[] x = gaussian(1024, 3);
    Arrays.fill(x, 256, 512, 0);
    byte[] clean = new byte[(int) format.bytes(x.length)];
    byte[] dirty = clean.clone();
    Arrays.fill(dirty, (byte) 0xFF);
    format.encode(x, 0, x.length, MemorySegment.ofArray(clean), 0);
    format.encode(x, 0, x.length, MemorySegment.ofArray(dirty), 0);
    assertArrayEquals(clean, dirty);
  }

  /** Offsets count bytes and elements, odd ones too, and nothing beside the blocks is touched. */
  @ParameterizedTest
  @FieldSource("FORMATS")
  void offsetsAreHonoured(ElementFormat format) {
    int n = 2 * 256;
    int bytes = (int) format.bytes(n);
    float[] x = gaussian(n + 8, 11);
    byte[] plain = new byte[bytes];
    format.encode(Arrays.copyOfRange(x, 5, 5 + n), 0, n, MemorySegment.ofArray(plain), 0);
    byte[] shifted = new byte[bytes + 6];
    format.encode(x, 5, n, MemorySegment.ofArray(shifted), 3);
    assertArrayEquals(plain, Arrays.copyOfRange(shifted, 3, 3 + bytes));
    assertEquals(0, shifted[2]);
    assertEquals(0, shifted[3 + bytes]);

    float[] y = new float[n + 4];
    format.decode(MemorySegment.ofArray(shifted), 3, y, 2, n);
    float[] expected = new float[n];
    format.decode(MemorySegment.ofArray(plain), 0, expected, 0, n);
    assertArrayEquals(expected, Arrays.copyOfRange(y, 2, 2 + n));
    assertEquals(0, y[1]);
    assertEquals(0, y[2 + n]);
  }

  /** Native memory of exactly the blocks' size suffices; one byte less is refused. */
  @ParameterizedTest
  @FieldSource("FORMATS")
  void staysWithinASegmentOfExactSize(ElementFormat format) {
    int n = format.blockSize() * 3;
    float[] x = gaussian(n, 5);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment exact = arena.allocate(format.bytes(n));
      format.encode(x, 0, n, exact, 0);
      format.decode(exact, 0, x, 0, n);
      MemorySegment cut = exact.asSlice(0, exact.byteSize() - 1);
      assertThrows(IndexOutOfBoundsException.class, () -> format.encode(x, 0, n, cut, 0));
      assertThrows(IndexOutOfBoundsException.class, () -> format.decode(cut, 0, x, 0, n));
      assertThrows(
          IndexOutOfBoundsException.class, () -> format.decode(exact, 0, new float[n - 1], 0, n));
    }
  }

  @ParameterizedTest
  @MethodSource("blockFormats")
  void partsOfABlockAreRefused(ElementFormat format) {
    MemorySegment blocks = MemorySegment.ofArray(new byte[format.blockBytes()]);
    float[] x = new float[format.blockSize()];
    assertThrows(
        IllegalArgumentException.class, () -> format.decode(blocks, 0, x, 0, x.length - 1));
    assertThrows(
        IllegalArgumentException.class, () -> format.encode(x, 0, x.length - 1, blocks, 0));
  }

  @ParameterizedTest
  @MethodSource("blockFormats")
  void elementsNoBlockCanHoldAreRefused(ElementFormat format) {
    MemorySegment blocks = MemorySegment.ofArray(new byte[format.blockBytes()]);
    float[] x = new float[format.blockSize()];
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1e12f}) {
      x[17] = bad;
      var e =
          assertThrows(
              IllegalArgumentException.class, () -> format.encode(x, 0, x.length, blocks, 0));
      assertEquals(
          "element 17 is " + bad + ", which " + format.name() + " cannot store", e.getMessage());
    }
  }

  @ParameterizedTest
  @MethodSource("blockFormats")
  void scalesBeyondHalfPrecisionAreRefused(ElementFormat format) {
    MemorySegment blocks = MemorySegment.ofArray(new byte[format.blockBytes()]);
    for (float huge : new float[] {1e9f, -1e11f}) {
      float[] x = new float[format.blockSize()];
      x[3] = huge;
      var e =
          assertThrows(
              IllegalArgumentException.class, () -> format.encode(x, 0, x.length, blocks, 0));
      assertTrue(e.toString().contains("exceeds half precision"), e.toString());
    }
  }

  /** Magnitudes whose scale underflows to zero decode to zero; none becomes NaN. */
  @ParameterizedTest
  @ValueSource(floats = {Float.MIN_VALUE, 1e-40f, 1e-20f, 1e-12f, 6e-8f})
  void tinyElementsNeverBecomeNan(float tiny) {
    for (ElementFormat format : FORMATS) {
      float[] x = gaussian(256, 9);
      for (int i = 0; i < x.length; i++) {
        x[i] *= tiny;
      }
      for (float value : roundTrip(format, x)) {
        assertTrue(Math.abs(value) <= 8 * Math.max(tiny, 6e-8f), format.name() + " " + value);
      }
    }
  }
}
