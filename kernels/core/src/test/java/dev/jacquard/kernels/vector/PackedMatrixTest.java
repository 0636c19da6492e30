package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class PackedMatrixTest {
  /** Nearest rounding of a float: half a unit in the last place of 1. */
  private static final double EPSILON = 0x1p-24;

  static List<ElementFormat> formats() {
    return ElementFormats.all();
  }

  /** Every format with an odd number of rows, and columns that are odd numbers of blocks. */
  static Stream<Arguments> shapes() {
    return ElementFormats.all().stream()
        .flatMap(
            format ->
                IntStream.of(1, 3, 1100 / format.blockSize())
                    .map(blocks -> Math.max(1, blocks) * format.blockSize())
                    .distinct()
                    .boxed()
                    .flatMap(
                        columns ->
                            Stream.of(1, 32, 311).map(r -> Arguments.of(format, r, columns))));
  }

  /**
   * A chain of K fused multiply-adds of exact weights: |error| ≤ K·ε·Σ|w·x|, ε = 2⁻²⁴. The weights
   * are those of the format's scalar decoder.
   */
  @ParameterizedTest
  @MethodSource("shapes")
  void productsAreWithinTheBoundOfTheirSums(ElementFormat format, int rows, int columns) {
    int inputRows = 7;
    MatrixCase c = MatrixCase.of(format, rows, columns, inputRows, rows + columns);
    for (int n : new int[] {1, inputRows}) {
      float[] out = c.multiply(n);
      float[] weights = new float[columns];
      for (int i = 0; i < rows; i++) {
        c.tensor().decodeRow(i, weights, 0);
        for (int row = 0; row < n; row++) {
          double expected = 0;
          double magnitude = 0;
          for (int k = 0; k < columns; k++) {
            double product = (double) weights[k] * c.input()[row * columns + k];
            expected += product;
            magnitude += Math.abs(product);
          }
          double error = Math.abs(out[row * rows + i] - expected);
          double bound = columns * EPSILON * magnitude;
          assertTrue(
              error <= bound, format.name() + " output " + i + ": " + error + " exceeds " + bound);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("formats")
  void bitsDoNotDependOnTheNumberOfRows(ElementFormat format) {
    int columns = 5 * Math.max(32, format.blockSize());
    MatrixCase c = MatrixCase.of(format, 75, columns, 33, 1);
    float[] all = new float[33 * 75];
    for (int row = 0; row < 33; row++) {
      MatrixCase single =
          new MatrixCase(
              c.tensor(),
              c.packed(),
              Arrays.copyOfRange(c.input(), row * columns, (row + 1) * columns));
      System.arraycopy(single.multiply(1), 0, all, row * 75, 75);
    }
    for (int n = 1; n <= 33; n++) {
      assertArrayEquals(Arrays.copyOf(all, n * 75), c.multiply(n), format.name() + " rows " + n);
    }
  }

  @ParameterizedTest
  @MethodSource("formats")
  void bitsDoNotDependOnTilesAndThreads(ElementFormat format) {
    int columns = 3 * Math.max(32, format.blockSize());
    int rows = 300;
    int n = 9;
    MatrixCase c = MatrixCase.of(format, rows, columns, n, 2);
    float[] expected = c.multiply(n);
    int offset = 5;
    int stride = rows + 3;
    Activations x = c.activations(n);
    float[] out = new float[offset + n * stride];
    Arrays.fill(out, Float.NaN);
    try (WorkerPool pool = new WorkerPool(3)) {
      pool.run(
          c.packed().tiles(),
          1,
          (from, to, thread) -> c.packed().multiply(x, from, to, out, offset, stride));
    }
    for (int row = 0; row < n; row++) {
      assertArrayEquals(
          Arrays.copyOfRange(expected, row * rows, (row + 1) * rows),
          Arrays.copyOfRange(out, offset + row * stride, offset + row * stride + rows));
    }
    for (int i = 0; i < out.length; i++) {
      boolean written = i >= offset && (i - offset) % stride < rows;
      assertEquals(!written, Float.isNaN(out[i]), "value " + i);
    }
  }

  /** Arbitrary bits, so that scales are negative, subnormal, huge and not a number too. */
  @ParameterizedTest
  @MethodSource("formats")
  void rowsDecodeToWhatTheFormatSays(ElementFormat format) {
    int columns = 5 * Math.max(128, format.blockSize());
    int rows = 45;
    Random random = new Random(3);
    MemorySegment data = Arena.ofAuto().allocate(format.bytes((long) rows * columns));
    byte[] bits = new byte[(int) data.byteSize()];
    random.nextBytes(bits);
    MemorySegment.copy(bits, 0, data, java.lang.foreign.ValueLayout.JAVA_BYTE, 0, bits.length);
    Tensor tensor = new Tensor(format, Shape.of(columns, rows), data);
    PackedMatrix packed = MatrixCase.pack(tensor);
    float[] expected = new float[columns];
    float[] actual = new float[columns + 2];
    for (int row = 0; row < rows; row++) {
      tensor.decodeRow(row, expected, 0);
      expandRow((FloatMatrix) packed, row, actual, 2);
      for (int k = 0; k < columns; k++) {
        float e = expected[k];
        float a = actual[k + 2];
        boolean same = e == a || (!Float.isFinite(e) && !Float.isFinite(a));
        assertTrue(same, format.name() + " row " + row + " column " + k + ": " + e + ", " + a);
      }
    }
  }

  /** A format without a kernel of its own is stored as floats, and its kernel says so. */
  @ParameterizedTest
  @MethodSource("formats")
  void storedBytesAreCloseToTheFile(ElementFormat format) {
    MatrixCase c = MatrixCase.of(format, 64, 2 * Math.max(256, format.blockSize()), 1, 4);
    String decoded = "f32, decoded from " + format.name();
    String kernel = PackedMatrices.layoutFor(format).kernel();
    boolean own = !kernel.equals(decoded);
    ElementFormat stored = own ? format : F32.INSTANCE;
    long bytes = stored.bytes(c.tensor().shape().elements());
    assertTrue(
        c.packed().bytes() <= bytes * 1.04, c.packed().bytes() + " bytes instead of " + bytes);
    assertEquals(own ? format.name().toLowerCase(java.util.Locale.ROOT) : decoded, kernel);
  }

  private static void expandRow(FloatMatrix packed, int row, float[] target, int offset) {
    Scratch scratch = Scratch.get();
    for (int first = 0; first < packed.columns(); first += FloatMatrix.CHUNK) {
      int count = Math.min(FloatMatrix.CHUNK, packed.columns() - first);
      packed.expand(row / PackedMatrix.TILE, first, count, scratch);
      for (int k = 0; k < count; k++) {
        target[offset + first + k] = scratch.panel[k * PackedMatrix.TILE + row % PackedMatrix.TILE];
      }
    }
  }
}
