package dev.jacquard.quantization;

import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.modelfile.ModelMetadata;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.quantization.ImportanceMatrix.Entry;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The files of importance matrices. A GGUF file holds two tensors for each matrix: {@code
 * NAME.in_sum2} [columns, matrices] and {@code NAME.counts} [1, matrices], both F32.
 *
 * <p>Source: {@code tools/imatrix} and {@code common/imatrix-loader.cpp} of llama.cpp.
 */
final class ImportanceFile {
  private static final String SUMS = ".in_sum2";
  private static final String COUNTS = ".counts";
  private static final String DATASETS = "imatrix.datasets";
  private static final String CHUNKS = "imatrix.chunk_count";
  private static final String CHUNK_SIZE = "imatrix.chunk_size";

  /** Larger files of the older form are none: that of a model of 400 B parameters has 100 MB. */
  private static final long MAX_LEGACY_BYTES = 1 << 30;

  private ImportanceFile() {}

  static ImportanceMatrix read(Path file) throws IOException {
    ImportanceMatrix matrix = isGguf(file) ? readGguf(file) : readLegacy(file);
    matrix
        .entries()
        .forEach(
            (name, entry) -> {
              for (float square : entry.squares()) {
                if (!(square >= 0 && square <= Float.MAX_VALUE)) {
                  throw new ModelFormatException(
                      file, -1, "sums of squares for " + name, String.valueOf(square));
                }
              }
            });
    return matrix;
  }

  private static boolean isGguf(Path file) throws IOException {
    try (var in = Files.newInputStream(file)) {
      return new String(in.readNBytes(4), StandardCharsets.ISO_8859_1).equals("GGUF");
    }
  }

  private static ImportanceMatrix readGguf(Path path) {
    try (GgufFile file = GgufFile.open(path)) {
      Map<String, Entry> entries = new HashMap<>();
      for (TensorInfo tensor : file.tensors()) {
        if (tensor.name().endsWith(SUMS)) {
          String name = tensor.name().substring(0, tensor.name().length() - SUMS.length());
          float[] counts = values(file, name + COUNTS);
          long[] rounded = new long[counts.length];
          for (int i = 0; i < counts.length; i++) {
            rounded[i] = Math.round((double) counts[i]);
          }
          float[] squares = values(file, tensor.name());
          if (squares.length % counts.length != 0) {
            throw new ModelFormatException(
                path,
                tensor.offset(),
                "a count for each matrix of " + name,
                counts.length + " counts");
          }
          entries.put(name, new Entry(squares, rounded));
        }
      }
      if (entries.isEmpty()) {
        throw new ModelFormatException(
            path, -1, "an importance matrix", "a GGUF file without tensors NAME" + SUMS);
      }
      ModelMetadata metadata = file.metadata();
      return new ImportanceMatrix(
          entries,
          metadata.has(DATASETS) ? metadata.strings(DATASETS) : List.of(),
          metadata.integer(CHUNKS, 0),
          metadata.integer(CHUNK_SIZE, 0));
    }
  }

  private static float[] values(GgufFile file, String name) {
    Tensor tensor =
        file.tensor(name)
            .filter(t -> t.format() == F32.INSTANCE)
            .orElseThrow(
                () ->
                    new ModelFormatException(
                        file.path(), -1, "a tensor " + name + " in F32", "none"));
    float[] values = new float[Math.toIntExact(tensor.shape().elements())];
    tensor.format().decode(tensor.data(), 0, values, 0, values.length);
    return values;
  }

  /**
   * The older form, little-endian: int32 number of entries; for each an int32 length and the name,
   * int32 calls, int32 number of values, and as many floats, which are the means times the calls;
   * then, if there, int32 chunks, int32 length and the name of the text.
   */
  private static ImportanceMatrix readLegacy(Path file) throws IOException {
    ByteBuffer in = bytes(file);
    Map<String, Entry> entries = new HashMap<>();
    int count = integer(file, in, "an importance matrix: a number of entries", 1, 1 << 20);
    for (int i = 0; i < count; i++) {
      String name = text(file, in, "the length of the name of entry " + i);
      int calls = integer(file, in, "the number of calls of " + name, 0, Integer.MAX_VALUE);
      int values =
          integer(file, in, "the number of values of " + name, 1, in.remaining() / Float.BYTES - 1);
      float[] squares = new float[values];
      in.asFloatBuffer().get(squares);
      in.position(in.position() + values * Float.BYTES);
      entries.put(name, new Entry(squares, new long[] {Math.max(1, calls)}));
    }
    int chunks = 0;
    List<String> datasets = List.of();
    if (in.hasRemaining()) {
      chunks = integer(file, in, "a number of chunks", 0, Integer.MAX_VALUE);
      String dataset = in.hasRemaining() ? text(file, in, "the length of a name") : "";
      datasets = dataset.isEmpty() ? List.of() : List.of(dataset);
    }
    return new ImportanceMatrix(entries, datasets, chunks, 0);
  }

  private static ByteBuffer bytes(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file)) {
      if (channel.size() > MAX_LEGACY_BYTES) {
        throw new ModelFormatException(file, 0, "an importance matrix", "something larger");
      }
      ByteBuffer in = ByteBuffer.allocate((int) channel.size()).order(ByteOrder.LITTLE_ENDIAN);
      while (in.hasRemaining() && channel.read(in) >= 0) {}
      return in.flip();
    }
  }

  private static int integer(Path file, ByteBuffer in, String expected, int least, int most) {
    int at = in.position();
    if (in.remaining() < Integer.BYTES) {
      throw new ModelFormatException(file, at, expected, "the end of the file");
    }
    int value = in.getInt();
    if (value < least || value > most) {
      throw new ModelFormatException(file, at, expected, String.valueOf(value));
    }
    return value;
  }

  private static String text(Path file, ByteBuffer in, String expected) {
    byte[] bytes = new byte[integer(file, in, expected, 0, in.remaining() - Integer.BYTES)];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  static void write(ImportanceMatrix matrix, Path file) throws IOException {
    GgmlTypes.Type f32 = GgmlTypes.byNumber(F32.INSTANCE.ggmlType()).orElseThrow();
    GgufWriter writer =
        new GgufWriter()
            .put("general.type", GgufType.STRING, "imatrix")
            .putArray(DATASETS, GgufType.STRING, matrix.datasets())
            .put(CHUNKS, GgufType.UINT32, matrix.chunks())
            .put(CHUNK_SIZE, GgufType.UINT32, matrix.chunkSize());
    matrix
        .entries()
        .forEach(
            (name, entry) -> {
              int matrices = entry.counts().length;
              float[] counts = new float[matrices];
              for (int i = 0; i < matrices; i++) {
                counts[i] = entry.counts()[i];
              }
              writer
                  .tensor(
                      name + SUMS, f32, Shape.of(entry.columns(), matrices), data(entry.squares()))
                  .tensor(name + COUNTS, f32, Shape.of(1, matrices), data(counts));
            });
    writer.write(file);
  }

  private static GgufWriter.TensorData data(float[] values) {
    byte[] bytes = new byte[values.length * Float.BYTES];
    F32.INSTANCE.encode(values, 0, values.length, MemorySegment.ofArray(bytes), 0);
    return GgufWriter.TensorData.of(MemorySegment.ofArray(bytes));
  }
}
