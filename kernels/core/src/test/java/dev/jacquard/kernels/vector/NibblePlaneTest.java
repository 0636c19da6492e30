package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.memory.GuardPages;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.Q8_0;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NibblePlaneTest {
  private static final ValueLayout.OfShort HALF = ValueLayout.JAVA_SHORT_UNALIGNED;

  /** Any codes, scales of any size and sign. */
  private static Tensor tensor(int rows, int columns, Random random) {
    MemorySegment data =
        GuardPages.allocate(Arena.ofAuto(), Q8_0.INSTANCE.bytes((long) rows * columns));
    byte[] codes = new byte[(int) data.byteSize()];
    random.nextBytes(codes);
    MemorySegment.copy(codes, 0, data, ValueLayout.JAVA_BYTE, 0, codes.length);
    boolean wild = random.nextInt(4) == 0;
    for (long block = 0; block < data.byteSize(); block += 34) {
      double exponent = wild ? random.nextInt(36) - 22 : -8 - random.nextDouble();
      float d = (float) ((random.nextInt(8) == 0 ? -1 : 1) * Math.pow(2, exponent));
      data.set(HALF, block, Float.floatToFloat16(random.nextInt(50) == 0 ? 0 : d));
    }
    return new Tensor(Q8_0.INSTANCE, Shape.of(columns, rows), data);
  }

  private static PackedMatrix pack(Tensor tensor, PackedLayout layout) {
    int tiles = PackedMatrix.tiles(tensor.rows());
    long bytes = layout.tileBytes(tensor.columns());
    MemorySegment packed = GuardPages.allocate(Arena.ofAuto(), tiles * bytes);
    for (int tile = 0; tile < tiles; tile++) {
      layout.packTile(tensor, tile, packed, tile * bytes);
    }
    return layout.view(tensor.rows(), tensor.columns(), packed);
  }

  private static Activations prepare(float[] values, int rows, int columns) {
    Activations x = new Activations(rows, columns);
    x.begin(rows, columns);
    x.prepare(values, 0, columns, 0, x.panels());
    return x;
  }

  @ParameterizedTest
  @ValueSource(ints = {32, 96, 512, 640, 1120})
  void productsHaveTheBitsOfTheOtherLayout(int columns) {
    Random random = new Random(columns);
    Tensor tensor = tensor(75, columns, random);
    PackedMatrix planes = pack(tensor, Q8_0PlanesMatrix.LAYOUT);
    PackedMatrix plain = pack(tensor, Q8_0Matrix.LAYOUT);
    assertEquals(plain.bytesRead(), planes.bytesRead());
    int words = (columns + 127) / 128; // of norms
    assertEquals(plain.bytes() + planes.tiles() * (words * 128L), planes.bytes());
    for (int n : new int[] {1, 3, 13}) {
      float[] values = new float[n * columns];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      Activations x = prepare(values, n, columns);
      float[] expected = new float[n * 75];
      float[] actual = new float[n * 75];
      plain.multiply(x, 0, plain.tiles(), expected, 0, 75);
      planes.multiply(x, 0, planes.tiles(), actual, 0, 75);
      assertArrayEquals(expected, actual);
    }
  }

  /** 60,000 rows, of which a third meets activations made for the bound to be reached. */
  @Test
  void noProductIsAboveItsBound() {
    Random random = new Random(11);
    int[] widths = {32, 64, 160, 640};
    int rows = 100;
    double closest = 0;
    for (int round = 0; round < 600; round++) {
      int columns = widths[random.nextInt(widths.length)];
      Tensor tensor = tensor(rows, columns, random);
      Q8_0PlanesMatrix matrix = (Q8_0PlanesMatrix) pack(tensor, Q8_0PlanesMatrix.LAYOUT);
      float[] values = activations(round % 3, tensor, random);
      Activations x = prepare(values, 1, columns);
      float[] product = new float[rows];
      matrix.multiply(x, 0, matrix.tiles(), product, 0, rows);
      NibblePlane plane = new NibblePlane(matrix);
      assertTrue(plane.ask(x.floats));
      float[] upper = new float[matrix.tiles() * PackedMatrix.TILE];
      plane.scan(0, matrix.tiles(), 0, upper);
      float[] estimates = new float[upper.length];
      plane.scan(0, matrix.tiles(), Float.MIN_NORMAL, estimates);
      for (int i = 0; i < rows; i++) {
        assertTrue(product[i] <= upper[i], "round " + round + ", row " + i);
        double span = (double) upper[i] - estimates[i];
        if (span > 0) {
          closest = Math.max(closest, (product[i] - (double) estimates[i]) / span);
        }
      }
    }
    assertTrue(closest > 0.98, "a bound is nearly reached: " + closest);
  }

  /** Ordinary numbers, few large ones, or what the upper bits leave out of the first row. */
  private static float[] activations(int kind, Tensor tensor, Random random) {
    float[] values = new float[tensor.columns()];
    double scale = Math.pow(2, random.nextInt(40) - 20);
    for (int k = 0; k < values.length; k++) {
      double normal = random.nextGaussian() * scale;
      long block = k / 32 * 34L;
      int low = tensor.data().get(ValueLayout.JAVA_BYTE, block + 2 + k % 32) & 15;
      float d = Float.float16ToFloat(tensor.data().get(HALF, block));
      values[k] =
          (float)
              switch (kind) {
                case 0 -> normal;
                case 1 -> random.nextInt(9) == 0 ? 100 * normal : normal;
                default -> d * (low - 7.5) * scale;
              };
    }
    if (kind == 2 && !(Math.abs(values[0]) > 0)) {
      values[0] = (float) scale;
    }
    return values;
  }

  @Test
  void sixStandardDeviationsAreHardlyEverExceeded() {
    Random random = new Random(12);
    int columns = 640;
    int rows = 20_000;
    Tensor tensor = tensor(rows, columns, random);
    for (long block = 0; block < tensor.data().byteSize(); block += 34) {
      tensor.data().set(HALF, block, Float.floatToFloat16(0.01f));
    }
    Q8_0PlanesMatrix matrix = (Q8_0PlanesMatrix) pack(tensor, Q8_0PlanesMatrix.LAYOUT);
    Activations x = prepare(activations(0, tensor, random), 1, columns);
    float[] product = new float[rows];
    matrix.multiply(x, 0, matrix.tiles(), product, 0, rows);
    NibblePlane plane = new NibblePlane(matrix);
    plane.ask(x.floats);
    float[] upper = new float[matrix.tiles() * PackedMatrix.TILE];
    for (int sigmas : new int[] {1, 2, 6}) {
      plane.scan(0, matrix.tiles(), sigmas, upper);
      int above = 0;
      for (int i = 0; i < rows; i++) {
        above += product[i] > upper[i] ? 1 : 0;
      }
      double share = above / (double) rows;
      // Norms are rounded up, and rounding is added: a little less than of a normal distribution.
      double normal = sigmas == 1 ? 0.1587 : sigmas == 2 ? 0.0228 : 0;
      String what = sigmas + " standard deviations: " + share;
      assertTrue(share <= normal && share >= 0.5 * normal, what);
    }
  }

  @Test
  void numbersWithoutABoundAreRefused() {
    Tensor tensor = tensor(3, 64, new Random(13));
    NibblePlane plane = new NibblePlane((Q8_0PlanesMatrix) pack(tensor, Q8_0PlanesMatrix.LAYOUT));
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, 1e30f}) {
      float[] values = new float[64];
      values[40] = bad;
      assertFalse(plane.ask(values));
    }
    assertFalse(plane.ask(new float[64]));
    float[] tiny = new float[64];
    tiny[1] = 1e-30f;
    assertFalse(plane.ask(tiny));
    float[] good = new float[64];
    good[63] = 1;
    assertTrue(plane.ask(good));
  }
}
