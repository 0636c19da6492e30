package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ScalarProductTest {
  static List<ElementFormat> formats() {
    return ElementFormats.all();
  }

  /** So that a matrix may change from one to the other in the middle of a prompt. */
  @ParameterizedTest
  @MethodSource("formats")
  void bitsAreThoseOfTheVectorKernel(ElementFormat format) {
    int rows = 75;
    int columns = 1100 / format.blockSize() * format.blockSize();
    MatrixCase c = MatrixCase.of(format, rows, columns, 13, 4);
    for (int n : new int[] {1, 2, 4, 13}) {
      float[] expected = c.multiply(n);
      float[] actual = new float[n * rows];
      Activations x = c.activations(n);
      for (int tile = 0; tile < c.packed().tiles(); tile++) {
        ScalarProduct.multiplyTile(c.tensor(), tile, x, actual, 0, rows);
      }
      assertArrayEquals(expected, actual, format.name() + ", rows " + n);
    }
  }
}
