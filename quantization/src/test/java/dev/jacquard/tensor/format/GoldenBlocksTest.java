package dev.jacquard.tensor.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Blocks and values made by ggml's reference quantisers ({@code ggml/make.py} in the test
 * resources): encoders and decoders agree with them bit for bit, so that their errors are ggml's.
 */
class GoldenBlocksTest {
  private static final float[] VALUES = floats("values.f32");

  static Stream<ElementFormat> formats() {
    return ElementFormats.all().stream().filter(f -> f != F32.INSTANCE);
  }

  static Stream<ElementFormat> blockFormats() {
    return formats().filter(f -> f.blockSize() > 1);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void decodesAsGgmlDoes(ElementFormat format) {
    float[] decoded = new float[VALUES.length];
    format.decode(
        MemorySegment.ofArray(bytes(format.name() + ".blocks")), 0, decoded, 0, decoded.length);
    assertArrayEquals(floats(format.name() + ".f32"), decoded);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void encodesAsGgmlDoes(ElementFormat format) {
    byte[] encoded = new byte[Math.toIntExact(format.bytes(VALUES.length))];
    format.encode(VALUES, 0, VALUES.length, MemorySegment.ofArray(encoded), 0);
    assertArrayEquals(bytes(format.name() + ".blocks"), encoded);
  }

  /** Two rows of 512: ggml's sums over a row, and importances of zero, are in it. */
  @ParameterizedTest
  @MethodSource("blockFormats")
  void encodesWithImportancesAsGgmlDoes(ElementFormat format) {
    float[] importance = floats("importance.f32");
    int rowBytes = Math.toIntExact(format.bytes(importance.length));
    byte[] encoded = new byte[2 * rowBytes];
    MemorySegment blocks = MemorySegment.ofArray(encoded);
    format.encodeRow(VALUES, 0, importance, blocks, 0);
    format.encodeRow(VALUES, importance.length, importance, blocks, rowBytes);
    assertArrayEquals(bytes(format.name() + ".weighted.blocks"), encoded);
  }

  private static float[] floats(String name) {
    byte[] bytes = bytes(name);
    float[] values = new float[bytes.length / Float.BYTES];
    F32.INSTANCE.decode(MemorySegment.ofArray(bytes), 0, values, 0, values.length);
    return values;
  }

  private static byte[] bytes(String name) {
    try (InputStream file = GoldenBlocksTest.class.getResourceAsStream("/ggml/" + name)) {
      return Objects.requireNonNull(file, name).readAllBytes();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
