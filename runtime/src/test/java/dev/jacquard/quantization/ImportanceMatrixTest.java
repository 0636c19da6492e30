package dev.jacquard.quantization;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImportanceMatrixTest {
  private static final String NAME = "blk.0.ffn_up.weight";

  @TempDir private Path folder = Path.of("");

  private static TensorInfo tensor(String name, long... sizes) {
    return new TensorInfo(name, "F16", 1, Shape.of(sizes), Path.of("m.gguf"), 0, 0);
  }

  private static ImportanceMatrix.Entry entry(float[] squares, long... counts) {
    return new ImportanceMatrix.Entry(squares, counts);
  }

  @Test
  void comesBackFromItsFile() throws IOException {
    Path file = folder.resolve("imatrix.gguf");
    new ImportanceMatrix(
            Map.of(NAME, entry(new float[] {1, 2, 3, 4}, 8), "x", entry(new float[] {5, 6}, 1, 0)),
            List.of("a.txt", "b"),
            7,
            512)
        .write(file);
    ImportanceMatrix read = ImportanceMatrix.read(file);
    assertEquals(List.of("a.txt", "b"), read.datasets());
    assertEquals(7, read.chunks());
    assertEquals(512, read.chunkSize());
    assertEquals(List.of(NAME, "x"), List.copyOf(read.entries().keySet()));
    assertArrayEquals(
        new float[] {1, 2, 3, 4}, Objects.requireNonNull(read.entries().get(NAME)).squares());
    assertArrayEquals(new long[] {8}, Objects.requireNonNull(read.entries().get(NAME)).counts());
    assertArrayEquals(new long[] {1, 0}, Objects.requireNonNull(read.entries().get("x")).counts());
  }

  @Test
  void meansOfSquaresForEachMatrix() {
    ImportanceMatrix matrix =
        new ImportanceMatrix(
            Map.of(
                NAME,
                entry(new float[] {2, 4, 6, 8}, 2),
                "experts",
                entry(new float[] {2, 4, 6, 8}, 4, 0)),
            List.of(),
            0,
            0);
    assertArrayEquals(new float[] {1, 2, 3, 4}, matrix.of(tensor(NAME, 4, 9)).orElseThrow()[0]);
    float[][] experts = matrix.of(tensor("experts", 2, 5, 2)).orElseThrow();
    assertArrayEquals(new float[] {0.5f, 1}, experts[0]);
    assertArrayEquals(new float[] {1, 1}, experts[1], "nothing was measured");
    assertEquals(Optional.empty(), matrix.of(tensor("other", 4, 9)));
    QuantizationException e =
        assertThrows(QuantizationException.class, () -> matrix.of(tensor(NAME, 5, 9)));
    assertTrue(e.toString().contains("made from another model"), e.toString());
  }

  private static byte[] legacy() {
    byte[] name = NAME.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(200).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(1).putInt(name.length).put(name).putInt(10).putInt(2).putFloat(30).putFloat(5);
    out.putInt(10).putInt(5).put("a.txt".getBytes(StandardCharsets.UTF_8));
    return Arrays.copyOf(out.array(), out.position());
  }

  @Test
  void readsTheOlderForm() throws IOException {
    Path file = Files.write(folder.resolve("imatrix.dat"), legacy());
    ImportanceMatrix read = ImportanceMatrix.read(file);
    assertEquals(10, read.chunks());
    assertEquals(List.of("a.txt"), read.datasets());
    assertArrayEquals(new float[] {3, 0.5f}, read.of(tensor(NAME, 2, 3)).orElseThrow()[0]);
  }

  /** Cut anywhere, the older form is refused or, after its entries, has less to tell. */
  @Test
  void aCutFileIsRefused() throws IOException {
    byte[] whole = legacy();
    int entriesEnd = whole.length - 13;
    for (int length = 0; length < whole.length; length++) {
      Path file = Files.write(folder.resolve("cut.dat"), Arrays.copyOf(whole, length));
      if (length == entriesEnd || length == entriesEnd + 4) {
        assertEquals(1, ImportanceMatrix.read(file).entries().size());
      } else {
        assertThrows(ModelFormatException.class, () -> ImportanceMatrix.read(file), "" + length);
      }
    }
  }

  @Test
  void sumsThatAreNoneAreRefused() throws IOException {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1}) {
      Path file = folder.resolve("bad.gguf");
      new ImportanceMatrix(Map.of(NAME, entry(new float[] {1, bad}, 1)), List.of(), 0, 0)
          .write(file);
      ModelFormatException e =
          assertThrows(ModelFormatException.class, () -> ImportanceMatrix.read(file));
      assertTrue(e.toString().contains(NAME), e.toString());
    }
  }

  @Test
  void anOrdinaryTextIsRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("notes.txt"), "nothing of the kind");
    ModelFormatException e =
        assertThrows(ModelFormatException.class, () -> ImportanceMatrix.read(file));
    assertTrue(e.toString().contains("an importance matrix"), e.toString());
  }
}
