package dev.jacquard.modelfile;

import static dev.jacquard.modelfile.GgufBytes.file;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufFileTest {
  private static final GgmlTypes.Type F32 = GgmlTypes.byNumber(0).orElseThrow();

  private final Path folder;

  GgufFileTest(@TempDir Path folder) {
    this.folder = folder;
  }

  @Test
  void opensEveryModelOfTheProject() throws IOException {
    List<Path> models = models(TestData.project().resolve("runtime"));
    assertTrue(models.size() >= 15, models + "");
    models.forEach(GgufFileTest::openAndRead);
  }

  @Test
  void opensEveryModelBesideTheProject() throws IOException {
    for (String name : List.of("architectures", "tokenizers", "models")) {
      List<Path> models = models(TestData.shared(name));
      assertFalse(models.isEmpty());
      models.forEach(GgufFileTest::openAndRead);
    }
  }

  /** Bases of sketches and importance matrices are files of the same format, but no models. */
  private static List<Path> models(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(file -> file.toString().endsWith(".gguf"))
          .filter(file -> !file.toString().endsWith(".basis.gguf"))
          .filter(file -> !file.toString().endsWith(".imatrix.gguf"))
          .sorted()
          .toList();
    }
  }

  private static void openAndRead(Path path) {
    try (ModelFile file = ModelFile.open(path)) {
      assertFalse(file.metadata().architecture().isEmpty());
      assertFalse(file.metadata().strings("tokenizer.ggml.tokens").isEmpty());
      for (TensorInfo info : file.tensors()) {
        if (ElementFormats.byGgmlType(info.typeNumber()).isPresent()) {
          Tensor tensor = file.tensor(info.name()).orElseThrow();
          float[] row = new float[tensor.columns()];
          tensor.decodeRow(tensor.rows() - 1, row, 0);
          assertTrue(Float.isFinite(row[row.length - 1]), path + " " + info);
        }
      }
    }
  }

  @Test
  void readsWhatTheBundledModelSays() {
    try (ModelFile file = ModelFile.open(TestData.bundledModel())) {
      ModelMetadata metadata = file.metadata();
      assertEquals("llama", metadata.architecture());
      assertEquals(8, metadata.integer("llama.block_count"));
      assertEquals(100000, metadata.number("llama.rope.freq_base"));
      assertEquals(4096, metadata.strings("tokenizer.ggml.tokens").size());
      assertEquals("<|endoftext|>", metadata.strings("tokenizer.ggml.tokens").getFirst());
      assertEquals(4096, metadata.integers("tokenizer.ggml.token_type").length);
      assertEquals(7_949_888, file.bytes());
      Tensor embedding = file.tensor("token_embd.weight").orElseThrow();
      assertEquals("Q8_0", embedding.format().name());
      assertEquals(Shape.of(256, 4096), embedding.shape());
      assertTrue(embedding.data().isReadOnly());
      assertTrue(embedding.data().isMapped());
      assertTrue(file.tensor("no.such.tensor").isEmpty());
    }
  }

  @Test
  void readsEveryTypeOfValue() {
    Path path =
        file(0, 18)
            .key("u8", GgufType.UINT8)
            .int8(200)
            .key("i8", GgufType.INT8)
            .int8(-3)
            .key("u16", GgufType.UINT16)
            .int16(40000)
            .key("i16", GgufType.INT16)
            .int16(-300)
            .key("u32", GgufType.UINT32)
            .int32(-1)
            .key("i32", GgufType.INT32)
            .int32(-1)
            .key("u64", GgufType.UINT64)
            .int64(5)
            .key("u64.large", GgufType.UINT64)
            .int64(-1)
            .key("i64", GgufType.INT64)
            .int64(-1)
            .key("f32", GgufType.FLOAT32)
            .float32(0.5f)
            .key("f64", GgufType.FLOAT64)
            .float64(0.1)
            .key("yes", GgufType.BOOL)
            .int8(1)
            .key("no", GgufType.BOOL)
            .int8(0)
            .key("text", GgufType.STRING)
            .string("größer 𝄞")
            .array("u32s", GgufType.UINT32, 2)
            .int32(7)
            .int32(-1)
            .array("u8s", GgufType.UINT8, 2)
            .int8(1)
            .int8(255)
            .array("empty", GgufType.STRING, 0)
            .array("nested", GgufType.ARRAY, 2)
            .elements(GgufType.INT32, 1)
            .int32(-7)
            .elements(GgufType.STRING, 2)
            .string("a")
            .string("b")
            .writeTo(folder.resolve("values.gguf"));
    ModelMetadata metadata;
    try (ModelFile file = ModelFile.open(path)) {
      metadata = file.metadata();
    }
    assertEquals(200, metadata.integer("u8"));
    assertEquals(-3, metadata.integer("i8"));
    assertEquals(40000, metadata.integer("u16"));
    assertEquals(-300, metadata.integer("i16"));
    assertEquals(4294967295.0, metadata.number("u32"));
    assertEquals(-1, metadata.integer("i32"));
    assertEquals(5, metadata.integer("u64"));
    assertEquals(new BigInteger("18446744073709551615"), metadata.get("u64.large").orElseThrow());
    assertEquals(-1, metadata.integer("i64"));
    assertEquals(0.5, metadata.number("f32"));
    assertEquals(0.1, metadata.number("f64"));
    assertTrue(metadata.flag("yes", false));
    assertFalse(metadata.flag("no", true));
    assertEquals("größer 𝄞", metadata.string("text"));
    assertArrayEquals(new long[] {7, 4294967295L}, (long[]) metadata.get("u32s").orElseThrow());
    assertArrayEquals(new int[] {1, 255}, metadata.integers("u8s"));
    assertEquals(List.of(), metadata.strings("empty"));
    Object[] nested = (Object[]) metadata.get("nested").orElseThrow();
    assertArrayEquals(new int[] {-7}, (int[]) nested[0]);
    assertArrayEquals(new String[] {"a", "b"}, (String[]) nested[1]);

    assertFault(() -> metadata.integer("u32"), "u32", "32 bits", "4294967295");
    assertFault(() -> metadata.integer("u64.large"), "u64.large", "18446744073709551615");
    assertFault(() -> metadata.string("f32"), "f32", "a string", "0.5");
    assertFault(() -> metadata.strings("u8s"), "u8s", "an array of strings", "int");
    assertFault(() -> metadata.integers("u32s"), "u32s", "long");
    assertFault(() -> metadata.number("absent"), "absent", "no such key");
  }

  private static void assertFault(Runnable reading, String... words) {
    ModelFormatException fault = assertThrows(ModelFormatException.class, reading::run);
    for (String word : words) {
      assertTrue(String.valueOf(fault.getMessage()).contains(word), fault.getMessage());
    }
  }

  @Test
  void versionTwoIsReadAlike() {
    Path path =
        file(2, 1, 1)
            .key("general.architecture", GgufType.STRING)
            .string("unheard-of")
            .tensor("a", 0, 0, 2)
            .data(32, 32)
            .writeTo(folder.resolve("two.gguf"));
    try (ModelFile file = ModelFile.open(path)) {
      assertEquals("unheard-of", file.metadata().architecture());
      assertEquals(8, file.tensors().getFirst().bytes());
    }
  }

  @Test
  void wrongTextInAValueIsReplaced() {
    Path path =
        file(0, 1)
            .key("a", GgufType.STRING)
            .string(new byte[] {'x', (byte) 0xff})
            .writeTo(folder.resolve("text.gguf"));
    try (ModelFile file = ModelFile.open(path)) {
      assertEquals("x\uFFFD", file.metadata().string("a"));
    }
  }

  @Test
  void formatWithoutDecoderIsShownButNotRead() {
    Path path = file(1, 0).tensor("a", 24, 0, 256).data(32, 256).writeTo(folder.resolve("i8.gguf"));
    try (ModelFile file = ModelFile.open(path)) {
      assertEquals("I8", file.tensors().getFirst().type());
      assertFault(() -> file.tensor("a"), "a in a number format", "F32", "found I8");
    }
  }

  @Test
  void gapsAndAnyOrderOfDataAreAllowed() {
    Path path =
        file(2, 0)
            .tensor("late", 0, 128, 4)
            .tensor("early", 0, 32, 4)
            .data(32, 144)
            .writeTo(folder.resolve("gaps.gguf"));
    try (ModelFile file = ModelFile.open(path)) {
      assertEquals(
          List.of("late", "early"), file.tensors().stream().map(TensorInfo::name).toList());
    }
  }

  @Test
  void headerOfAHugeFileIsLimited() throws IOException {
    Path path =
        file(0, 1).array("a", GgufType.INT8, 1 << 30).int8(1).writeTo(folder.resolve("huge.gguf"));
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      // A sparse file: the array lies within it, but would take gigabytes of heap.
      channel.write(ByteBuffer.allocate(1), 1L << 31);
    }
    assertFault(
        () -> ModelFile.open(path), "at most 134217", "the longest header", "found 1073741824");
  }

  @Test
  void longValuesAreCutInMessages() {
    Path path =
        file(0, 1)
            .key("a", GgufType.STRING)
            .string("\u001b[31m" + "x".repeat(5000))
            .writeTo(folder.resolve("long.gguf"));
    try (ModelFile file = ModelFile.open(path)) {
      ModelFormatException fault =
          assertThrows(ModelFormatException.class, () -> file.metadata().integer("a"));
      String message = String.valueOf(fault.getMessage());
      assertTrue(message.length() < 1000, message);
      assertTrue(message.chars().noneMatch(Character::isISOControl), message);
    }
  }

  @Test
  void ggmlTypesAgreeWithTheDecoders() {
    for (ElementFormat format : ElementFormats.all()) {
      assertEquals(
          new GgmlTypes.Type(
              format.ggmlType(), format.name(), format.blockSize(), format.blockBytes()),
          GgmlTypes.byNumber(format.ggmlType()).orElseThrow());
    }
  }

  @Test
  void anyPartOpensAllParts() throws IOException {
    for (int i = 0; i < 3; i++) {
      part(i, i + 1).write(folder.resolve("m-0000%d-of-00003.gguf".formatted(i + 1)));
    }
    for (int i = 1; i <= 3; i++) {
      try (ModelFile file = ModelFile.open(folder.resolve("m-0000%d-of-00003.gguf".formatted(i)))) {
        assertEquals(folder.resolve("m-00001-of-00003.gguf"), file.path());
        assertEquals("part 0", file.metadata().string("general.name"));
        assertEquals(
            List.of("t0", "t1", "t2"), file.tensors().stream().map(TensorInfo::name).toList());
        for (int t = 0; t < 3; t++) {
          float[] row = new float[4];
          file.tensor("t" + t).orElseThrow().decodeRow(0, row, 0);
          assertArrayEquals(new float[] {t + 1, t + 1, t + 1, t + 1}, row);
          assertTrue(
              file.tensors().get(t).file().endsWith("m-0000%d-of-00003.gguf".formatted(t + 1)));
        }
        long bytes = 0;
        for (Path part : models(folder)) {
          bytes += Files.size(part);
        }
        assertEquals(bytes, file.bytes());
      }
    }
  }

  private static GgufWriter part(int number, float value) {
    return new GgufWriter()
        .put("general.name", GgufType.STRING, "part " + number)
        .put("split.no", GgufType.UINT16, number)
        .put("split.count", GgufType.UINT16, 3)
        .put("split.tensors.count", GgufType.INT32, 3)
        .tensor(
            "t" + number,
            F32,
            Shape.of(4),
            GgufWriter.TensorData.of(
                MemorySegment.ofArray(new float[] {value, value, value, value})));
  }

  @Test
  void fingerprintFollowsTheContent() throws IOException {
    Path path = folder.resolve("a.gguf");
    Path copy = folder.resolve("b.gguf");
    part(0, 1).write(path);
    byte[] bytes = Files.readAllBytes(path);
    replaceSplit(bytes);
    Files.write(path, bytes);
    Files.copy(path, copy);
    Files.setLastModifiedTime(copy, FileTime.fromMillis(1));
    String fingerprint = fingerprint(path);
    assertEquals(fingerprint, fingerprint(path));
    assertEquals(fingerprint, fingerprint(copy), "name and time do not count");

    for (int place : new int[] {bytes.length - 20, indexOf(bytes, "part 0") + 5}) {
      byte[] altered = bytes.clone();
      altered[place] ^= 1;
      Files.write(path, altered);
      assertNotEquals(fingerprint, fingerprint(path), "a weight or a name in the metadata");
    }
  }

  @Test
  void contentHashFollowsEveryByte() throws IOException {
    Path path = Files.copy(TestData.bundledModel(), folder.resolve("a.gguf"));
    Path copy = Files.copy(path, folder.resolve("b.gguf"));
    String fingerprint = fingerprint(path);
    String hash = contentHash(path);
    assertEquals(hash, contentHash(copy), "name and time do not count");

    try (ModelFile file = ModelFile.open(path)) {
      List<Double> shares = new ArrayList<>();
      assertEquals(hash, file.contentHash(shares::add));
      assertEquals(0, shares.getFirst());
      assertEquals(1, shares.getLast());
      flip(path, Files.size(path) - 12_345);
      Files.setLastModifiedTime(path, FileTime.fromMillis(1));
      for (Runnable use : List.<Runnable>of(file::requireUnchanged, () -> contentHash(file))) {
        JacquardException fault = assertThrows(JacquardException.class, use::run);
        assertTrue(String.valueOf(fault.getMessage()).contains("changed"), fault.getMessage());
      }
    }
    assertEquals(fingerprint, fingerprint(path), "samples do not see this byte");
    assertNotEquals(hash, contentHash(path));
  }

  private static String contentHash(Path path) {
    try (ModelFile file = ModelFile.open(path)) {
      return contentHash(file);
    }
  }

  private static String contentHash(ModelFile file) {
    return file.contentHash(share -> {});
  }

  /** Edits a byte in place. */
  private static void flip(Path path, long at) throws IOException {
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      ByteBuffer one = ByteBuffer.allocate(1);
      channel.read(one, at);
      channel.write(ByteBuffer.wrap(new byte[] {(byte) (one.get(0) ^ 1)}), at);
    }
  }

  /** Makes a part a whole file: its count of parts becomes 1. */
  private static void replaceSplit(byte[] bytes) {
    bytes[indexOf(bytes, "split.count") + "split.count".length() + 4] = 1;
  }

  private static int indexOf(byte[] bytes, String text) {
    return new String(bytes, StandardCharsets.ISO_8859_1).indexOf(text);
  }

  private static String fingerprint(Path path) {
    try (ModelFile file = ModelFile.open(path)) {
      return file.fingerprint();
    }
  }

  @Test
  void shortenedFileIsNoticed() throws IOException {
    Path path = Files.copy(TestData.resource("architectures/llama.gguf"), folder.resolve("m.gguf"));
    try (ModelFile file = ModelFile.open(path)) {
      file.requireIntact();
      shorten(path, 1000);
      for (Runnable use : List.<Runnable>of(file::requireIntact, file::fingerprint)) {
        JacquardException fault = assertThrows(JacquardException.class, use::run);
        assertTrue(String.valueOf(fault.getMessage()).contains("shortened"), fault.getMessage());
      }
    }
  }

  private static void shorten(Path path, long size) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.truncate(size);
    }
  }

  @Test
  void fileReplacedUnderItsNameIsStillRead() throws IOException {
    Path path = Files.copy(TestData.resource("architectures/llama.gguf"), folder.resolve("m.gguf"));
    Path other = Files.writeString(folder.resolve("other"), "short");
    try (ModelFile file = ModelFile.open(path)) {
      float[] before = firstRow(file);
      Files.move(other, path, StandardCopyOption.REPLACE_EXISTING);
      file.requireIntact();
      assertArrayEquals(before, firstRow(file));
    }
  }

  private static float[] firstRow(ModelFile file) {
    Tensor tensor = file.tensor("token_embd.weight").orElseThrow();
    float[] row = new float[tensor.columns()];
    tensor.decodeRow(0, row, 0);
    return row;
  }

  @Test
  void closedFileSaysSo() {
    ModelFile file = ModelFile.open(TestData.resource("architectures/llama.gguf"));
    Tensor tensor = file.tensor("token_embd.weight").orElseThrow();
    file.close();
    file.close();
    assertEquals("llama", file.metadata().architecture(), "metadata outlives the mapping");
    float[] row = new float[tensor.columns()];
    assertThrows(IllegalStateException.class, () -> tensor.decodeRow(0, row, 0));
    List<Runnable> uses =
        List.of(() -> file.tensor("token_embd.weight"), file::requireIntact, file::fingerprint);
    for (Runnable use : uses) {
      IllegalStateException fault = assertThrows(IllegalStateException.class, use::run);
      assertTrue(String.valueOf(fault.getMessage()).contains("closed"), fault.getMessage());
    }
  }

  @Test
  void folderAndMissingFileAreNamed() {
    assertFault(() -> ModelFile.open(folder), folder.toString(), "a directory");
    assertFault(() -> ModelFile.open(folder.resolve("none.gguf")), "none.gguf", "no such file");
  }
}
