package dev.jacquard.quantization;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.format.F32;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantizerTest {
  @TempDir private Path folder = Path.of("");

  private Path out() {
    return folder.resolve("out.gguf");
  }

  private void quantize(Path input, FileType type, int threads) {
    quantize(input, type, threads, UnaryOperator.identity());
  }

  private void quantize(
      Path input, FileType type, int threads, UnaryOperator<WritableByteChannel> channel) {
    try (GgufFile file = GgufFile.open(input)) {
      QuantizationPlan plan = QuantizationPlan.of(file, TypeChoice.of(type), false, false);
      new Quantizer(file, plan, threads).write(out(), share -> {}, channel);
    }
  }

  /** Files of llama-quantize (commit 3f545bec): the first 16 digits of their SHA-256. */
  @ParameterizedTest
  @CsvSource({
    "F32, a1eb476b08ff2776",
    "F16, 787993611e969c8c",
    "BF16, 3d2f18c4cb90cc4d",
    "Q8_0, 5ddb447c7bf1409e",
    "Q4_0, e368159ed23fed04",
    "Q4_1, 37882085e64f85a3",
    "Q5_0, ae9c5dca68ead7f8",
    "Q5_1, 4ed6af16458f5e6a",
    "Q4_K_S, db25687e767869da",
    "Q4_K_M, b638a19d171a7cdb",
    "Q5_K_S, 3afd072f8a79b310",
    "Q5_K_M, 17ec4201107b84e9",
    "Q6_K, 8202b37d9f65809a"
  })
  void filesHaveTheBytesOfLlamaQuantize(FileType type, String sha256)
      throws IOException, GeneralSecurityException {
    quantize(TestData.shared("models/java-7m.F16.gguf"), type, 2);
    assertEquals(sha256, sha256(out()).substring(0, 16));
  }

  /** The same for models that every clone has: narrow ones, where K formats fall back. */
  @ParameterizedTest
  @CsvSource({
    "llama, Q8_0",
    "llama, Q4_0",
    "gemma3, Q8_0",
    "gemma3, Q4_0",
    "gemma3, Q4_K_M",
  })
  void smallFilesHaveTheBytesOfLlamaQuantize(String model, FileType type) throws IOException {
    quantize(TestData.resource("architectures/" + model + ".gguf"), type, 1);
    Path expected = TestData.resource("architectures/%s.%s.gguf".formatted(model, type));
    assertEquals(-1, Files.mismatch(expected, out()));
  }

  private static String sha256(Path file) throws IOException, GeneralSecurityException {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    return HexFormat.of().formatHex(digest.digest(Files.readAllBytes(file)));
  }

  /** Several chunks a tensor, whose borders are not those of rows. */
  @Test
  void threadsDoNotChangeTheBytes() throws IOException {
    Path input = model(Map.of("blk.0.ffn_up.weight", gaussian(1024 * 1200)), 1024);
    quantize(input, FileType.Q4_0, 1);
    byte[] one = Files.readAllBytes(out());
    quantize(input, FileType.Q4_0, 5);
    assertEquals(-1, Arrays.mismatch(one, Files.readAllBytes(out())));
  }

  @Test
  void rulesChangeSingleTensors() {
    try (GgufFile file = GgufFile.open(TestData.resource("architectures/llama.gguf"))) {
      TypeChoice choice =
          new TypeChoice(
              FileType.F16,
              List.of(
                  new TypeChoice.Rule(Pattern.compile("attn_(q|k)"), f("Q8_0")),
                  new TypeChoice.Rule(Pattern.compile("attn"), f("BF16"))),
              f("Q5_0"),
              f("F32"));
      new Quantizer(file, QuantizationPlan.of(file, choice, false, false), 1)
          .write(out(), share -> {});
    }
    try (GgufFile file = GgufFile.open(out())) {
      assertEquals("Q8_0", format(file, "blk.1.attn_k.weight"));
      assertEquals("BF16", format(file, "blk.1.attn_v.weight"));
      assertEquals("F16", format(file, "blk.1.ffn_up.weight"));
      assertEquals("F32", format(file, "blk.1.attn_norm.weight"));
      assertEquals("Q5_0", format(file, "output.weight"));
      assertEquals("F32", format(file, "token_embd.weight"));
      assertEquals(1, file.metadata().integer("general.file_type"));
    }
  }

  private static ElementFormat f(String name) {
    return ElementFormats.byName(name).orElseThrow();
  }

  private static String format(GgufFile file, String name) {
    return file.tensor(name).orElseThrow().format().name();
  }

  @Test
  void splitModelsBecomeOneFile() throws IOException {
    Path whole = TestData.resource("architectures/llama.gguf");
    Path first = split(whole);
    quantize(first, FileType.Q8_0, 2);
    assertEquals(-1, Files.mismatch(TestData.resource("architectures/llama.Q8_0.gguf"), out()));
  }

  /** Cuts a model into two files. */
  private Path split(Path whole) throws IOException {
    try (GgufFile file = GgufFile.open(whole)) {
      int half = file.tensors().size() / 2;
      for (int part = 0; part < 2; part++) {
        GgufWriter writer = new GgufWriter();
        if (part == 0) {
          file.metadata().keys().forEach(key -> writer.copy(file, key));
        }
        writer
            .put("split.no", GgufType.UINT16, part)
            .put("split.count", GgufType.UINT16, 2)
            .put("split.tensors.count", GgufType.INT32, file.tensors().size());
        file.tensors()
            .subList(part == 0 ? 0 : half, part == 0 ? half : file.tensors().size())
            .forEach(
                t ->
                    writer.tensor(
                        t.name(),
                        GgmlTypes.byNumber(t.typeNumber()).orElseThrow(),
                        t.shape(),
                        GgufWriter.TensorData.of(file.data(t))));
        writer.write(folder.resolve("part-0000%d-of-00002.gguf".formatted(part + 1)));
      }
    }
    return folder.resolve("part-00001-of-00002.gguf");
  }

  @Test
  void valuesThatAreNotFiniteAreNamed() throws IOException {
    float[] values = gaussian(1024 * 600);
    values[1024 * 500 + 17] = Float.NaN;
    for (FileType type : new FileType[] {FileType.Q8_0, FileType.F32, FileType.F16}) {
      assertFails(
          model(Map.of("blk.0.ffn_up.weight", values), 1024),
          type,
          "tensor blk.0.ffn_up.weight has the value NaN at row 500, column 17");
    }
    assertFails(
        model(Map.of("blk.0.attn_norm.weight", new float[] {1, Float.NEGATIVE_INFINITY}), 2),
        FileType.Q8_0,
        "tensor blk.0.attn_norm.weight has the value -Infinity at row 0, column 1");
  }

  @Test
  void valuesTooLargeForTheFormatAreNamed() throws IOException {
    float[] values = gaussian(64 * 100);
    values[64 * 70 + 1] = 1e9f;
    assertFails(
        model(Map.of("blk.0.ffn_up.weight", values), 64),
        FileType.Q4_0,
        "tensor blk.0.ffn_up.weight, rows 0 to 99: elements are too large for Q4_0");
  }

  @Test
  void rowsThatAreNoWholeBlocksAreNamed() throws IOException {
    assertFails(
        model(Map.of("blk.0.ffn_up.weight", gaussian(40 * 10)), 40),
        FileType.Q8_0,
        "blk.0.ffn_up.weight has rows of 40 numbers, which are no whole Q8_0 blocks of 32: give it"
            + " another format, as --tensor-type 'blk.0.ffn_up.weight=F16'");
  }

  @Test
  void quantisedInputIsRefused() throws IOException {
    Path input = TestData.resource("architectures/llama.Q8_0.gguf");
    assertFails(input, FileType.Q4_0, "is quantised already (Q8_0)");
    quantize(input, FileType.Q8_0, 1); // nothing changes, so nothing is lost
    assertEquals(-1, Files.mismatch(input, out()));
  }

  /** The disk has room when it begins, and another process fills it. */
  @Test
  void aFullDiskLeavesNothing() throws IOException {
    Path input = model(Map.of("blk.0.ffn_up.weight", gaussian(1024 * 1024)), 1024);
    QuantizationException e =
        assertThrows(
            QuantizationException.class,
            () -> quantize(input, FileType.Q8_0, 2, channel -> new FullChannel(channel, 500_000)));
    assertEquals(
        out() + " cannot be written: No space left on device; nothing is left of it",
        e.getMessage());
    assertOnly(input);
  }

  /** Takes some bytes, then fails. */
  private static final class FullChannel implements WritableByteChannel {
    private final WritableByteChannel channel;
    private long room;

    FullChannel(WritableByteChannel channel, long room) {
      this.channel = channel;
      this.room = room;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      if (source.remaining() > room) {
        throw new IOException("No space left on device");
      }
      room -= source.remaining();
      return channel.write(source);
    }

    @Override
    public boolean isOpen() {
      return channel.isOpen();
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  @Test
  void aCancelledRunLeavesNothing() throws IOException {
    Path input = model(Map.of("blk.0.ffn_up.weight", gaussian(1024 * 1024)), 1024);
    try (GgufFile file = GgufFile.open(input)) {
      QuantizationPlan plan = QuantizationPlan.of(file, TypeChoice.of(FileType.Q4_0), false, false);
      assertThrows(
          CancellationException.class,
          () ->
              new Quantizer(file, plan, 2)
                  .write(
                      out(),
                      share -> {
                        if (share > 0.4) {
                          throw new CancellationException();
                        }
                      }));
    }
    assertOnly(input);
  }

  @Test
  void theInputIsNeverOverwritten() throws IOException {
    byte[] bytes = Files.readAllBytes(TestData.resource("architectures/llama.gguf"));
    Path input = Files.write(folder.resolve("in.gguf"), bytes);
    Path soft = Files.createSymbolicLink(folder.resolve("soft.gguf"), input);
    Path hard = Files.createLink(folder.resolve("hard.gguf"), input);
    Files.createLink(folder.resolve("x.gguf.unfinished"), input);
    for (Path output : List.of(input, soft, hard, folder.resolve("x.gguf"))) {
      try (GgufFile file = GgufFile.open(input)) {
        QuantizationPlan plan =
            QuantizationPlan.of(file, TypeChoice.of(FileType.Q8_0), false, false);
        QuantizationException e =
            assertThrows(
                QuantizationException.class,
                () -> new Quantizer(file, plan, 1).write(output, share -> {}));
        assertTrue(e.toString().contains("would overwrite"), e.toString());
      }
    }
    Path second = split(input).resolveSibling("part-00002-of-00002.gguf");
    try (GgufFile file = GgufFile.open(second)) {
      QuantizationPlan plan = QuantizationPlan.of(file, TypeChoice.of(FileType.Q8_0), false, false);
      assertThrows(
          QuantizationException.class,
          () -> new Quantizer(file, plan, 1).write(second, share -> {}));
    }
    assertEquals(-1, Arrays.mismatch(bytes, Files.readAllBytes(input)));
  }

  @Test
  void placesWhereNothingCanBeWrittenAreNamed() {
    try (GgufFile file = GgufFile.open(TestData.resource("architectures/llama.gguf"))) {
      QuantizationPlan plan = QuantizationPlan.of(file, TypeChoice.of(FileType.Q8_0), false, false);
      Quantizer quantizer = new Quantizer(file, plan, 1);
      QuantizationException absent =
          assertThrows(
              QuantizationException.class,
              () -> quantizer.write(folder.resolve("none/out.gguf"), share -> {}));
      assertTrue(absent.toString().contains("there is no folder"), absent.toString());
      QuantizationException directory =
          assertThrows(QuantizationException.class, () -> quantizer.write(folder, share -> {}));
      assertTrue(directory.toString().contains("is a folder"), directory.toString());
    }
  }

  private void assertFails(Path input, FileType type, String expected) throws IOException {
    QuantizationException e =
        assertThrows(QuantizationException.class, () -> quantize(input, type, 2));
    assertTrue(e.toString().contains(expected), e.toString());
    assertTrue(Files.notExists(out()));
    assertTrue(Files.notExists(GgufWriter.unfinished(out())));
  }

  private void assertOnly(Path input) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(input), files.toList());
    }
  }

  /** A file of some tensors in F32. */
  private Path model(Map<String, float[]> tensors, int columns) throws IOException {
    GgufWriter writer = new GgufWriter().put("general.architecture", GgufType.STRING, "llama");
    tensors.forEach(
        (name, values) -> {
          byte[] bytes = new byte[values.length * Float.BYTES];
          F32.INSTANCE.encode(values, 0, values.length, MemorySegment.ofArray(bytes), 0);
          writer.tensor(
              name,
              GgmlTypes.byNumber(0).orElseThrow(),
              values.length == columns
                  ? Shape.of(columns)
                  : Shape.of(columns, values.length / columns),
              GgufWriter.TensorData.of(MemorySegment.ofArray(bytes)));
        });
    Path path = folder.resolve("in.gguf");
    writer.write(path);
    return path;
  }

  private static float[] gaussian(int n) {
    Random random = new Random(n);
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
