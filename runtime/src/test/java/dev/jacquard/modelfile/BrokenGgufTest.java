package dev.jacquard.modelfile;

import static dev.jacquard.modelfile.GgufBytes.file;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Files broken by hand, one a row: how, and which words the message must have. */
class BrokenGgufTest {
  private static final int F32 = 0;
  private static final int Q4_0 = 2;

  /** The first of {@code files} is opened. */
  record Broken(String how, Map<String, byte[]> files, List<String> words) {
    @Override
    public String toString() {
      return how;
    }
  }

  private static Broken row(String how, byte[] bytes, String... words) {
    return new Broken(how, Map.of("model.gguf", bytes), List.of(words));
  }

  private static Broken row(String how, GgufBytes bytes, String... words) {
    return row(how, bytes.bytes(), words);
  }

  private static Broken text(String how, String content, String... words) {
    return row(how, content.getBytes(StandardCharsets.UTF_8), words);
  }

  /** One pair with this value type; the value follows. */
  private static GgufBytes pair(GgufType type) {
    return file(0, 1).key("a.key", type);
  }

  /** One tensor, and more than enough data. */
  private static GgufBytes tensor(String name, int type, long offset, long... sizes) {
    return file(1, 0).tensor(name, type, offset, sizes).data(32, 4096);
  }

  private static GgufBytes align(int alignment) {
    return file(0, 1).key("general.alignment", GgufType.UINT32).int32(alignment);
  }

  static final List<Broken> WHOLE_FILE =
      List.of(
          row("nothing", new byte[0], "byte 0", "GGUF", "an empty file"),
          text("two bytes", "GG", "byte 0", "47 47"),
          text("magic alone", "GGUF", "byte 4", "version", "end of the file"),
          row("other bytes", new byte[] {1, 2, 3, 4, 5}, "byte 0", "the bytes 01 02 03 04"),
          text("big-endian magic", "FUGG\0\0\0\3", "big-endian"),
          row(
              "big-endian",
              new GgufBytes().text("GGUF").raw((byte) 0, (byte) 0, (byte) 0, (byte) 3),
              "byte 4",
              "big-endian"),
          text("GGML", "lmgg\1\0\0\0", "GGML", "convert"),
          text("GGJT", "tjgg\3\0\0\0", "GGJT", "convert"),
          text("GGMF", "fmgg\1\0\0\0", "GGMF", "convert"),
          row(
              "safetensors",
              new GgufBytes().int64(12).text("{\"a\":{}     }").raw(new byte[9]),
              "safetensors",
              "convert"),
          text("HTML", "<!DOCTYPE html><html>", "HTML", "download"),
          text("JSON", "{\"error\": \"not found\"}", "JSON", "download"),
          text("LFS pointer", "version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
          text("zip", "PK\3\4whatever", "zip", "PyTorch"),
          row("version 0", file(0, 0, 0), "byte 4", "version 2 or 3", "version 0"),
          row("version 1", file(1, 0, 0), "byte 4", "version 2 or 3", "version 1", "convert"),
          row("version 4", file(4, 0, 0), "byte 4", "version 2 or 3", "version 4"),
          row(
              "no counts",
              new GgufBytes().text("GGUF").int32(3),
              "byte 8",
              "only 0 bytes left of the file"),
          row(
              "half a count",
              new GgufBytes().text("GGUF").int32(3).int32(0),
              "byte 8",
              "only 4 bytes left"),
          row(
              "more tensors than bytes",
              file(1L << 60, 0),
              "byte 8",
              "at most 0 tensors",
              "1152921504606846976"),
          row("negative tensors", file(-1, 0), "byte 8", "tensors", "18446744073709551615"),
          row("more pairs than bytes", file(0, 1L << 60), "byte 16", "at most 0 metadata pairs"),
          row(
              "fewer pairs than said",
              file(0, 2).key("a", GgufType.UINT32).int32(1).raw(new byte[20]),
              "byte 41",
              "a key of 1 to 65535 bytes",
              "0 bytes"),
          row(
              "fewer tensors than said",
              file(2, 0).tensor("a", F32, 0, 4).data(32, 64),
              "tensor",
              "0 bytes"));

  static final List<Broken> METADATA =
      List.of(
          row(
              "empty key",
              file(0, 1).string("").int32(0).raw(new byte[9]),
              "byte 24",
              "a key",
              "0 bytes"),
          row(
              "key longer than the file",
              file(0, 1).int64(1000).text("general.name"),
              "byte 24",
              "a key within 12 bytes left",
              "1000"),
          row(
              "key of 2^63 bytes",
              file(0, 1).int64(Long.MIN_VALUE).text("general.name"),
              "byte 24",
              "9223372036854775808"),
          row(
              "key longer than 65535",
              file(0, 1).string("k".repeat(65536)).int32(0).int8(0),
              "65535",
              "65536 bytes"),
          row(
              "key not in UTF-8",
              file(0, 1).string(new byte[] {'a', (byte) 0xff}).int32(0).int8(0),
              "byte 24",
              "UTF-8",
              "61 ff"),
          row(
              "key with a line feed",
              file(0, 1).string("a\nb").int32(0).int8(0),
              "byte 24",
              "control characters"),
          row(
              "key twice",
              file(0, 2).key("a", GgufType.UINT8).int8(1).key("a", GgufType.UINT8).int8(2),
              "byte 38",
              "every key once",
              "a for the second time"),
          row(
              "value type 13",
              file(0, 1).string("a.key").int32(13).int8(0),
              "byte 37",
              "value type",
              "type 13",
              "a.key"),
          row("value type -1", file(0, 1).string("a.key").int32(-1).int8(0), "byte 37", "type -1"),
          row("no value type", file(0, 1).string("a.key").int8(4), "byte 37", "only 1 bytes left"),
          row(
              "half an integer",
              pair(GgufType.UINT32).int16(1),
              "byte 41",
              "4 bytes",
              "only 2 bytes left",
              "a.key"),
          row(
              "half a double",
              pair(GgufType.FLOAT64).int32(1),
              "byte 41",
              "double",
              "only 4 bytes left"),
          row(
              "string longer than the file",
              pair(GgufType.STRING).int64(100).text("abc"),
              "byte 41",
              "within 3 bytes left",
              "100"),
          row(
              "string of 2^60 bytes",
              pair(GgufType.STRING).int64(1L << 60),
              "byte 41",
              "1152921504606846976"),
          row("array without a type", pair(GgufType.ARRAY), "byte 41", "only 0 bytes left"),
          row("array of type 99", pair(GgufType.ARRAY).int32(99).int64(0), "byte 41", "type 99"),
          row("array without a count", pair(GgufType.ARRAY).int32(4), "byte 45", "8 bytes"),
          row(
              "array of 2^60 strings",
              pair(GgufType.ARRAY).elements(GgufType.STRING, 1L << 60),
              "byte 45",
              "at most 0 STRING",
              "1152921504606846976"),
          row(
              "array of 2^61 integers",
              pair(GgufType.ARRAY).elements(GgufType.INT32, 1L << 61).int32(1),
              "byte 45",
              "at most 1 INT32"),
          row(
              "array with a negative count",
              pair(GgufType.ARRAY).elements(GgufType.FLOAT32, -5).float32(1),
              "byte 45",
              "18446744073709551611"),
          row(
              "array one too long",
              pair(GgufType.ARRAY).elements(GgufType.FLOAT64, 3).float64(1).float64(2),
              "byte 45",
              "at most 2 FLOAT64"),
          row(
              "string cut in an array",
              pair(GgufType.ARRAY).elements(GgufType.STRING, 2).string("one").int64(9).text("two"),
              "byte 64",
              "within 3 bytes left"),
          row(
              "nested arrays, too deep",
              pair(GgufType.ARRAY)
                  .elements(GgufType.ARRAY, 1)
                  .elements(GgufType.ARRAY, 1)
                  .elements(GgufType.ARRAY, 1)
                  .elements(GgufType.ARRAY, 1)
                  .elements(GgufType.UINT8, 0),
              "nested at most 4 deep"),
          row(
              "nested array longer than the file",
              pair(GgufType.ARRAY).elements(GgufType.ARRAY, 1).elements(GgufType.INT16, 7).int16(1),
              "byte 57",
              "at most 1 INT16"),
          row(
              "2^50 nested arrays",
              pair(GgufType.ARRAY).elements(GgufType.ARRAY, 1L << 50),
              "byte 45",
              "at most 0 ARRAY"),
          row("alignment 0", align(0), "byte 53", "power of two", "found 0"),
          row("alignment 48", align(48), "byte 53", "power of two", "found 48"),
          row("alignment 2^31", align(1 << 31), "byte 53", "power of two", "2147483648"),
          row(
              "alignment of type UINT64",
              file(0, 1).key("general.alignment", GgufType.UINT64).int64(32),
              "byte 49",
              "UINT32",
              "UINT64"),
          row(
              "alignment twice",
              file(0, 2)
                  .key("general.alignment", GgufType.UINT32)
                  .int32(32)
                  .key("general.alignment", GgufType.UINT32)
                  .int32(64),
              "general.alignment for the second time"));

  static final List<Broken> TENSORS =
      List.of(
          row(
              "no tensor name",
              tensor("", F32, 0, 4),
              "byte 24",
              "a tensor name of 1 to 64 bytes",
              "0 bytes"),
          row(
              "long tensor name",
              tensor("n".repeat(65), F32, 0, 4),
              "byte 24",
              "1 to 64 bytes",
              "65 bytes"),
          row(
              "tensor name of 2^62 bytes",
              file(1, 0).int64(1L << 62).raw(new byte[40]),
              "byte 24",
              "4611686018427387904"),
          row(
              "tensor name not in UTF-8",
              file(1, 0)
                  .string(new byte[] {(byte) 0xc3, 0x28})
                  .int32(1)
                  .int64(4)
                  .int32(0)
                  .int64(0)
                  .data(32, 64),
              "byte 24",
              "UTF-8"),
          row("tensor name with an escape", tensor("a\u001b[0m", F32, 0, 4), "control characters"),
          row(
              "tensor twice",
              file(2, 0).tensor("a", F32, 0, 4).tensor("a", F32, 32, 4).data(32, 64),
              "byte 57",
              "every tensor once",
              "a for the second time"),
          row(
              "no dimensions",
              tensor("a", F32, 0).data(32, 64),
              "byte 33",
              "1 to 4 dimensions",
              "found 0",
              "tensor a"),
          row(
              "five dimensions",
              tensor("a", F32, 0, 1, 1, 1, 1, 1),
              "byte 33",
              "1 to 4 dimensions",
              "found 5"),
          row(
              "2^32 - 1 dimensions",
              file(1, 0).string("a").int32(-1).raw(new byte[64]),
              "byte 33",
              "4294967295"),
          row(
              "size 0",
              tensor("a", F32, 0, 0),
              "byte 37",
              "positive size of dimension 0",
              "found 0"),
          row(
              "second size 0",
              tensor("a", F32, 0, 4, 0),
              "byte 45",
              "positive size of dimension 1",
              "found 0"),
          row("negative size", tensor("a", F32, 0, -4), "byte 37", "positive size", "-4"),
          row(
              "product overflows",
              tensor("a", F32, 0, 1L << 32, 1L << 31),
              "byte 45",
              "2^63 elements"),
          row(
              "product overflows to a small one",
              tensor("a", F32, 0, 1L << 32, 1L << 32, 4),
              "byte 45",
              "2^63 elements"),
          row("bytes overflow", tensor("a", F32, 0, 1L << 61), "2^63 bytes"),
          row("type 43", tensor("a", 43, 0, 4), "byte 45", "number format", "type 43"),
          row("type -1", tensor("a", -1, 0, 4), "byte 45", "type -1"),
          row("a type that is no more", tensor("a", 31, 0, 32), "byte 45", "Q4_0_4_4", "convert"),
          row(
              "row of half a block",
              tensor("a", Q4_0, 0, 48, 2),
              "byte 37",
              "Q4_0 blocks of 32",
              "rows of 48"),
          row("misaligned", tensor("a", F32, 4, 4), "byte 49", "multiple of 32", "found 4"),
          row(
              "misaligned by the file's own alignment",
              file(1, 1)
                  .key("general.alignment", GgufType.UINT32)
                  .int32(64)
                  .tensor("a", F32, 32, 4)
                  .data(64, 4096),
              "multiple of 64",
              "found 32"),
          row(
              "begins behind the end",
              tensor("a", F32, 8192, 4),
              "byte 49",
              "within the 4096 bytes",
              "8192"),
          row("begins at -32", tensor("a", F32, -32, 4), "byte 49", "18446744073709551584"),
          row(
              "ends behind the end",
              tensor("a", F32, 4064, 64),
              "byte 49",
              "256 bytes within the 4096"),
          row("no data at all", file(1, 0).tensor("a", F32, 0, 4), "16 bytes within the 0 bytes"),
          row(
              "last byte missing",
              file(1, 0).tensor("a", F32, 0, 4).data(32, 15),
              "16 bytes within the 15 bytes"),
          row(
              "same place",
              file(2, 0).tensor("a", F32, 0, 4).tensor("b", F32, 0, 4).data(32, 64),
              "overlap",
              "b before the end of a"),
          row(
              "overlap, in the other order",
              file(2, 0).tensor("a", F32, 32, 4).tensor("b", F32, 0, 16).data(32, 64),
              "overlap",
              "a before the end of b"),
          row(
              "declaration cut",
              file(1, 0).string("a").int32(2).int64(4).raw(new byte[16]),
              "byte",
              "tensor a"));

  static final List<Broken> SPLITS =
      List.of(
          split(
              "second part missing",
              Map.of("m-00001-of-00002.gguf", part(0, 2, 2, "a")),
              "m-00002-of-00002.gguf",
              "no such file"),
          split(
              "first part missing",
              Map.of("m-00002-of-00002.gguf", part(1, 2, 2, "b")),
              "m-00001-of-00002.gguf",
              "no such file"),
          split(
              "second part is the first again",
              Map.of(
                  "m-00001-of-00002.gguf",
                  part(0, 2, 2, "a"),
                  "m-00002-of-00002.gguf",
                  part(0, 2, 2, "a")),
              "m-00002-of-00002.gguf",
              "split.no to be 1",
              "found 0"),
          split(
              "second part of another count",
              Map.of(
                  "m-00001-of-00002.gguf",
                  part(0, 2, 2, "a"),
                  "m-00002-of-00002.gguf",
                  part(1, 3, 2, "b")),
              "split.count to be 2",
              "found 3"),
          split(
              "second part of another model",
              Map.of(
                  "m-00001-of-00002.gguf",
                  part(0, 2, 2, "a"),
                  "m-00002-of-00002.gguf",
                  part(1, 2, 5, "b")),
              "split.tensors.count to be 2",
              "found 5"),
          split(
              "tensor in both parts",
              Map.of(
                  "m-00001-of-00002.gguf",
                  part(0, 2, 2, "a"),
                  "m-00002-of-00002.gguf",
                  part(1, 2, 2, "a")),
              "every tensor in one part",
              "a in"),
          split(
              "tensor missing in all parts",
              Map.of(
                  "m-00001-of-00002.gguf",
                  part(0, 2, 3, "a"),
                  "m-00002-of-00002.gguf",
                  part(1, 2, 3, "b")),
              "3 tensors in 2 parts",
              "found 2"),
          split(
              "second part broken",
              Map.of(
                  "m-00001-of-00002.gguf",
                  part(0, 2, 2, "a"),
                  "m-00002-of-00002.gguf",
                  new byte[3]),
              "m-00002-of-00002.gguf",
              "byte 0"),
          split(
              "second part whole",
              Map.of(
                  "m-00001-of-00002.gguf",
                  part(0, 2, 2, "a"),
                  "m-00002-of-00002.gguf",
                  tensor("b", F32, 0, 4).bytes()),
              "m-00002-of-00002.gguf",
              "split.no",
              "no such key"),
          split(
              "name without part",
              Map.of("model.gguf", part(0, 2, 2, "a")),
              "part 1 of 2",
              "model.gguf instead of NAME-00001-of-00002.gguf"),
          split(
              "name of another part",
              Map.of("m-00002-of-00002.gguf", part(0, 2, 2, "a")),
              "part 1 of 2",
              "m-00002-of-00002.gguf instead of"),
          split(
              "name of another count",
              Map.of("m-00001-of-00003.gguf", part(0, 2, 2, "a")),
              "part 1 of 2",
              "m-00001-of-00003.gguf instead of"),
          split(
              "number beyond the count",
              Map.of("m-00005-of-00002.gguf", part(4, 2, 2, "a")),
              "split.no",
              "from 0 to 1",
              "found 4"),
          split(
              "count of type string",
              Map.of(
                  "m-00001-of-00002.gguf",
                  file(0, 1).key("split.count", GgufType.STRING).string("2").bytes()),
              "split.count",
              "integer",
              "found 2"),
          split(
              "negative count",
              Map.of(
                  "m-00001-of-00002.gguf",
                  file(0, 1).key("split.count", GgufType.INT32).int32(-2).bytes()),
              "split.count",
              "found -2"),
          split(
              "no number",
              Map.of(
                  "m-00001-of-00002.gguf",
                  file(0, 1).key("split.count", GgufType.UINT16).int16(2).bytes()),
              "split.no",
              "no such key"));

  private static Broken split(String how, Map<String, byte[]> files, String... words) {
    Map<String, byte[]> sorted = new LinkedHashMap<>();
    files.keySet().stream().sorted().forEach(name -> sorted.put(name, files.get(name)));
    return new Broken(how, sorted, List.of(words));
  }

  private static byte[] part(int number, int count, int tensors, String name) {
    return file(1, 3)
        .key("split.no", GgufType.UINT16)
        .int16(number)
        .key("split.count", GgufType.UINT16)
        .int16(count)
        .key("split.tensors.count", GgufType.INT32)
        .int32(tensors)
        .tensor(name, F32, 0, 4)
        .data(32, 32)
        .bytes();
  }

  @ParameterizedTest
  @FieldSource({"WHOLE_FILE", "METADATA", "TENSORS", "SPLITS"})
  void isRefusedWithAMessage(Broken broken, @TempDir Path folder) {
    broken.files.forEach((name, bytes) -> GgufBytes.write(folder.resolve(name), bytes));
    Path opened = folder.resolve(broken.files.keySet().iterator().next());

    ModelFormatException fault =
        assertThrows(ModelFormatException.class, () -> GgufFile.open(opened).close());

    String message = String.valueOf(fault.getMessage());
    assertTrue(message.startsWith(folder.toString()), message);
    for (String word : broken.words) {
      assertTrue(message.contains(word), () -> "no '" + word + "' in: " + message);
    }
  }

  @Test
  void isRefusedWhereverItIsCut(@TempDir Path folder) {
    byte[] whole =
        file(2, 3)
            .key("general.architecture", GgufType.STRING)
            .string("llama")
            .array("a.words", GgufType.STRING, 2)
            .string("one")
            .string("two")
            .array("a.nest", GgufType.ARRAY, 1)
            .elements(GgufType.INT16, 2)
            .int16(1)
            .int16(2)
            .tensor("a", Q4_0, 0, 32, 2)
            .tensor("b", F32, 64, 4, 1, 2)
            .data(32, 96)
            .bytes();
    GgufFile.open(GgufBytes.write(folder.resolve("whole.gguf"), whole)).close();

    for (int length = 0; length < whole.length; length++) {
      Path cut = GgufBytes.write(folder.resolve("cut.gguf"), Arrays.copyOf(whole, length));
      assertThrows(ModelFormatException.class, () -> GgufFile.open(cut).close(), "at " + length);
    }
  }
}
