package dev.jacquard.modelfile;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.tensor.Shape;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufWriterTest {
  private static final GgmlTypes.Type F32 = GgmlTypes.byNumber(0).orElseThrow();

  private final Path folder;

  GgufWriterTest(@TempDir Path folder) {
    this.folder = folder;
  }

  @Test
  void copyOfAModelHasTheSameBytes() throws IOException {
    Path source = TestData.bundledModel();
    Path copy = folder.resolve("copy.gguf");
    try (GgufFile file = GgufFile.open(source)) {
      GgufWriter writer = new GgufWriter();
      file.metadata().keys().forEach(key -> writer.copy(file, key));
      for (TensorInfo info : file.tensors()) {
        MemorySegment data = file.tensor(info.name()).orElseThrow().data();
        writer.tensor(
            info.name(),
            GgmlTypes.byNumber(info.typeNumber()).orElseThrow(),
            info.shape(),
            GgufWriter.TensorData.of(data));
      }
      writer.write(copy);
    }
    assertEquals(-1, Files.mismatch(source, copy));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(copy), files.toList());
    }
  }

  @Test
  void valuesComeBackAsTheyWerePut() throws IOException {
    Path path = folder.resolve("values.gguf");
    BigInteger large = BigInteger.ONE.shiftLeft(64).subtract(BigInteger.ONE);
    new GgufWriter(256)
        .put("u8", GgufType.UINT8, 255)
        .put("i8", GgufType.INT8, -128)
        .put("u16", GgufType.UINT16, 65535)
        .put("i16", GgufType.INT16, -32768)
        .put("u32", GgufType.UINT32, 4294967295L)
        .put("i32", GgufType.INT32, -5)
        .put("u64", GgufType.UINT64, large)
        .put("i64", GgufType.INT64, Long.MIN_VALUE)
        .put("f32", GgufType.FLOAT32, 0.1f)
        .put("f64", GgufType.FLOAT64, 0.1)
        .put("flag", GgufType.BOOL, true)
        .put("text", GgufType.STRING, "größer")
        .putArray("strings", GgufType.STRING, List.of("a", ""))
        .putArray("floats", GgufType.FLOAT32, List.of(1f, 2f))
        .putArray("integers", GgufType.INT32, List.of(1, -2))
        .tensor("a", F32, Shape.of(1, 3), floats(1, 2, 3))
        .tensor("b", F32, Shape.of(1), floats(4))
        .write(path);
    try (GgufFile file = GgufFile.open(path)) {
      ModelMetadata metadata = file.metadata();
      assertEquals(256, metadata.integer("general.alignment"));
      assertEquals(255, metadata.integer("u8"));
      assertEquals(-128, metadata.integer("i8"));
      assertEquals(65535, metadata.integer("u16"));
      assertEquals(-32768, metadata.integer("i16"));
      assertEquals(4294967295.0, metadata.number("u32"));
      assertEquals(-5, metadata.integer("i32"));
      assertEquals(large, metadata.get("u64").orElseThrow());
      assertEquals(Long.MIN_VALUE, metadata.get("i64").orElseThrow());
      assertEquals(0.1f, metadata.number("f32"));
      assertEquals(0.1, metadata.number("f64"));
      assertTrue(metadata.flag("flag", false));
      assertEquals("größer", metadata.string("text"));
      assertEquals(List.of("a", ""), metadata.strings("strings"));
      assertArrayEquals(new float[] {1, 2}, metadata.floats("floats"));
      assertArrayEquals(new int[] {1, -2}, metadata.integers("integers"));
      assertEquals(List.of(0L, 0L), file.tensors().stream().map(t -> t.offset() % 256).toList());
      assertEquals(
          3, file.tensor("a").orElseThrow().data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 8));
    }
  }

  private static GgufWriter.TensorData floats(float... values) {
    return GgufWriter.TensorData.of(MemorySegment.ofArray(values));
  }

  @Test
  void wrongDeclarationsAreRefused() {
    GgufWriter writer =
        new GgufWriter().put("a", GgufType.UINT8, 1).tensor("t", F32, Shape.of(1), floats(1));
    GgmlTypes.Type q4 = GgmlTypes.byNumber(2).orElseThrow();
    List<Runnable> wrong =
        List.of(
            () -> new GgufWriter(48),
            () -> writer.put("a", GgufType.UINT8, 1),
            () -> writer.put("", GgufType.UINT8, 1),
            () -> writer.put("b", GgufType.UINT8, 256),
            () -> writer.put("b", GgufType.UINT32, -1),
            () -> writer.put("b", GgufType.INT8, 128),
            () -> writer.put("b", GgufType.INT32, 1.5),
            () -> writer.put("b", GgufType.STRING, 1),
            () -> writer.put("b", GgufType.ARRAY, List.of()),
            () -> writer.put("general.alignment", GgufType.UINT32, 64),
            () -> writer.tensor("t", F32, Shape.of(1), floats(1)),
            () -> writer.tensor("n".repeat(65), F32, Shape.of(1), floats(1)),
            () -> writer.tensor("q", q4, Shape.of(33), floats(1)));
    for (int i = 0; i < wrong.size(); i++) {
      assertThrows(IllegalArgumentException.class, wrong.get(i)::run, "row " + i);
    }
  }

  @Test
  void dataOfAnotherSizeLeavesNoFile() throws IOException {
    GgufWriter writer =
        new GgufWriter()
            .tensor("t", F32, Shape.of(4), channel -> channel.write(ByteBuffer.allocate(12)));
    Path path = folder.resolve("short.gguf");
    IllegalStateException fault =
        assertThrows(IllegalStateException.class, () -> writer.write(path));
    assertTrue(String.valueOf(fault.getMessage()).contains("t has 12 bytes instead of 16"));
    try (Stream<Path> files = Files.list(folder)) {
      assertFalse(files.findAny().isPresent());
    }
  }
}
