package dev.jacquard.modelfile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Damages small valid files at random: whatever comes out is opened and read, or ends in an
 * exception with a message. Anything else, an OutOfMemoryError or a hang included, is a failure.
 */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class GgufMutationTest {
  private static final long[] LENGTHS = {
    0, 1, 2, 31, 32, 33, 255, 256, 65535, 65536, 1L << 31, 1L << 32, 1L << 60, Long.MAX_VALUE, -1
  };

  /** Kept here, because a logger that nobody holds forgets its level. */
  private static final Logger LOGGER = Logger.getLogger("dev.jacquard.modelfile");

  @BeforeAll
  static void silenceThousandsOfWarnings() {
    LOGGER.setLevel(Level.OFF);
  }

  @AfterAll
  static void speakAgain() {
    LOGGER.setLevel(null);
  }

  @ParameterizedTest
  @CsvSource({"llama, 14000, 1", "every, 14000, 2", "llama.Q4_0, 500, 3", "gemma3.Q4_0, 500, 4"})
  void damagedFileOpensOrSaysWhatIsWrong(
      String source, int mutations, long seed, @TempDir Path folder) throws IOException {
    byte[] valid = Files.readAllBytes(source(source, folder));
    int header = header(folder.resolve("source.gguf"), valid);
    assertEquals(0, damage(folder, valid), "the undamaged file must be read without a fault");

    SplittableRandom random = new SplittableRandom(seed);
    int refused = 0;
    for (int i = 0; i < mutations; i++) {
      byte[] mutant = valid;
      for (int edits = random.nextInt(1, 4); edits > 0; edits--) {
        mutant = mutate(mutant, header, random);
      }
      try {
        refused += damage(folder, mutant);
      } catch (RuntimeException | Error e) {
        throw new AssertionError("mutation " + i + " of " + source + ", seed " + seed, e);
      }
    }
    assertTrue(refused > mutations / 4, "only " + refused + " of " + mutations + " were refused");
    assertTrue(refused < mutations, "every mutant was refused: none was read");
  }

  /** Opens and reads all there is; 1 if that ended in an exception with a message. */
  private static int damage(Path folder, byte[] bytes) {
    Path path = GgufBytes.write(folder.resolve("mutant.gguf"), bytes);
    try (ModelFile file = ModelFile.open(path)) {
      readMetadata(file.metadata());
      return readTensors(file) + buildProgram(file);
    } catch (ModelFormatException e) {
      assertFalse(String.valueOf(e.getMessage()).isBlank());
      return 1;
    }
  }

  private static void readMetadata(ModelMetadata metadata) {
    List<Consumer<String>> accessors =
        List.of(
            metadata::string,
            metadata::integer,
            metadata::number,
            key -> metadata.flag(key, false),
            metadata::strings,
            metadata::floats,
            metadata::integers);
    for (String key : metadata.keys()) {
      long fitting =
          accessors.stream()
              .filter(
                  accessor -> {
                    try {
                      accessor.accept(key);
                      return true;
                    } catch (ModelFormatException _) {
                      return false;
                    }
                  })
              .count();
      assertTrue(fitting <= 2, key + " is several things at once");
    }
  }

  private static int readTensors(ModelFile file) {
    try {
      for (TensorInfo info : file.tensors()) {
        Tensor tensor = file.tensor(info.name()).orElseThrow();
        float[] row = new float[tensor.columns()];
        for (int i = 0; i < tensor.rows(); i++) {
          tensor.decodeRow(i, row, 0);
        }
      }
      return 0;
    } catch (JacquardException e) {
      assertFalse(String.valueOf(e.getMessage()).isBlank());
      return 1;
    }
  }

  private static int buildProgram(ModelFile file) {
    Architectures.byName(file.metadata().architecture()).ifPresent(a -> a.program(file));
    return 0;
  }

  private static byte[] mutate(byte[] bytes, int header, SplittableRandom random) {
    byte[] result = bytes.clone();
    // Most damage is done where it can matter.
    int reach = random.nextInt(8) == 0 ? bytes.length : Math.min(header, bytes.length);
    if (reach < 16) {
      return result;
    }
    int at = random.nextInt(reach - 8);
    switch (random.nextInt(6)) {
      case 0 -> result[at] ^= (byte) (1 << random.nextInt(8));
      case 1 -> result[at] = (byte) random.nextInt(256);
      case 2 -> result = Arrays.copyOf(result, at);
      case 3 -> long64(result).putLong(at, LENGTHS[random.nextInt(LENGTHS.length)]);
      case 4 -> long64(result).putLong(at, long64(result).getLong(at) + random.nextInt(-2, 3));
      default -> result = splice(result, at, reach, random);
    }
    return result;
  }

  /** Takes some bytes out at one place and puts others from elsewhere in. */
  private static byte[] splice(byte[] bytes, int at, int reach, SplittableRandom random) {
    int removed = random.nextInt(Math.min(40, bytes.length - at));
    int from = random.nextInt(reach);
    int inserted = random.nextInt(Math.min(40, bytes.length - from));
    return ByteBuffer.allocate(bytes.length - removed + inserted)
        .put(bytes, 0, at)
        .put(bytes, from, inserted)
        .put(bytes, at + removed, bytes.length - at - removed)
        .array();
  }

  private static ByteBuffer long64(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int header(Path path, byte[] bytes) {
    try (GgufFile file = GgufFile.open(GgufBytes.write(path, bytes))) {
      return (int) file.tensors().stream().mapToLong(TensorInfo::offset).min().orElseThrow();
    }
  }

  private static Path source(String name, Path folder) throws IOException {
    Path path = folder.resolve(name + ".gguf");
    switch (name) {
      case "llama" -> tinyLlama().write(path);
      case "every" -> everyType().writeTo(path);
      default -> {
        return TestData.resource("architectures/" + name + ".gguf");
      }
    }
    return path;
  }

  /** A complete model of the llama family, of a few kilobytes. */
  private static GgufWriter tinyLlama() {
    int width = 8;
    int hidden = 12;
    List<String> tokens = IntStream.range(0, 16).mapToObj(Integer::toHexString).toList();
    GgufWriter writer =
        new GgufWriter()
            .put("general.architecture", GgufType.STRING, "llama")
            .put("general.name", GgufType.STRING, "tiny")
            .put("llama.context_length", GgufType.UINT32, 64)
            .put("llama.embedding_length", GgufType.UINT32, width)
            .put("llama.block_count", GgufType.UINT32, 1)
            .put("llama.feed_forward_length", GgufType.UINT32, hidden)
            .put("llama.attention.head_count", GgufType.UINT32, 2)
            .put("llama.attention.head_count_kv", GgufType.UINT32, 1)
            .put("llama.attention.layer_norm_rms_epsilon", GgufType.FLOAT32, 1e-5f)
            .put("llama.rope.freq_base", GgufType.FLOAT32, 10000f)
            .put("tokenizer.ggml.model", GgufType.STRING, "gpt2")
            .put("tokenizer.ggml.pre", GgufType.STRING, "gpt-2")
            .putArray("tokenizer.ggml.tokens", GgufType.STRING, tokens)
            .putArray(
                "tokenizer.ggml.token_type", GgufType.INT32, tokens.stream().map(_ -> 1).toList())
            .putArray("tokenizer.ggml.merges", GgufType.STRING, List.of("1 0", "a b"))
            .put("tokenizer.ggml.bos_token_id", GgufType.UINT32, 0)
            .put("tokenizer.ggml.eos_token_id", GgufType.UINT32, 0);
    weight(writer, "token_embd.weight", width, 16);
    weight(writer, "blk.0.attn_norm.weight", width);
    weight(writer, "blk.0.attn_q.weight", width, width);
    weight(writer, "blk.0.attn_k.weight", width, width / 2);
    weight(writer, "blk.0.attn_v.weight", width, width / 2);
    weight(writer, "blk.0.attn_output.weight", width, width);
    weight(writer, "blk.0.ffn_norm.weight", width);
    weight(writer, "blk.0.ffn_gate.weight", width, hidden);
    weight(writer, "blk.0.ffn_up.weight", width, hidden);
    weight(writer, "blk.0.ffn_down.weight", hidden, width);
    weight(writer, "output_norm.weight", width);
    return writer;
  }

  private static void weight(GgufWriter writer, String name, long... sizes) {
    Shape shape = Shape.of(sizes);
    float[] values = new float[(int) shape.elements()];
    Arrays.fill(values, 0.5f);
    writer.tensor(
        name,
        GgmlTypes.byNumber(0).orElseThrow(),
        shape,
        GgufWriter.TensorData.of(MemorySegment.ofArray(values)));
  }

  /** Every value type, nested arrays, and another alignment. */
  private static GgufBytes everyType() {
    GgufBytes file =
        GgufBytes.file(2, 16)
            .key("general.architecture", GgufType.STRING)
            .string("none")
            .key("general.alignment", GgufType.UINT32)
            .int32(64)
            .key("a.u8", GgufType.UINT8)
            .int8(200)
            .key("a.i8", GgufType.INT8)
            .int8(-3)
            .key("a.u16", GgufType.UINT16)
            .int16(40000)
            .key("a.i16", GgufType.INT16)
            .int16(-300)
            .key("a.u32", GgufType.UINT32)
            .int32(-1)
            .key("a.u64", GgufType.UINT64)
            .int64(-1)
            .key("a.i64", GgufType.INT64)
            .int64(-1)
            .key("a.f64", GgufType.FLOAT64)
            .float64(0.1)
            .key("a.flag", GgufType.BOOL)
            .int8(1)
            .array("a.flags", GgufType.BOOL, 3)
            .raw((byte) 0, (byte) 1, (byte) 1)
            .array("a.u32s", GgufType.UINT32, 2)
            .int32(1)
            .int32(-1)
            .array("a.f32s", GgufType.FLOAT32, 2)
            .float32(1)
            .float32(Float.NaN)
            .array("a.words", GgufType.STRING, 3)
            .string("")
            .string("größer")
            .string("𝄞")
            .array("a.nest", GgufType.ARRAY, 2)
            .elements(GgufType.INT16, 2)
            .int16(1)
            .int16(2)
            .elements(GgufType.ARRAY, 1)
            .elements(GgufType.STRING, 1)
            .string("deep");
    return file.tensor("a", 0, 0, 8, 2, 3, 1).tensor("b", 0, 192, 16).data(64, 256);
  }
}
