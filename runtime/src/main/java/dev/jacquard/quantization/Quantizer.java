package dev.jacquard.quantization;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.modelfile.ModelMetadata;
import dev.jacquard.modelfile.TensorInfo;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.DoubleConsumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model in other number formats. The input is mapped and read once, in chunks that several
 * threads decode and encode; of these a few megabytes a thread are in memory. The output stands
 * under its name only when it is complete.
 */
public final class Quantizer {
  private static final String FILE_TYPE = "general.file_type";
  private static final String QUANTIZATION_VERSION = "general.quantization_version";
  private static final String ALIGNMENT = "general.alignment";

  /** ggml's number of the present layout of its formats. */
  private static final int VERSION = 2;

  /** Bytes of a file besides its tensors, for the question whether the disk has room. */
  private static final long SLACK = 1 << 20;

  private final GgufFile file;
  private final QuantizationPlan plan;
  private final int threads;
  private @Nullable ImportanceMatrix importance;
  private String importanceFile = "";

  /**
   * A quantiser of one file, which stays open while it writes.
   *
   * @param threads that compute
   */
  public Quantizer(GgufFile file, QuantizationPlan plan, int threads) {
    this.file = file;
    this.plan = plan;
    this.threads = threads;
  }

  /**
   * Uses importances for all tensors that were measured; the output names the file that they came
   * from.
   */
  public Quantizer with(ImportanceMatrix matrix, Path source) {
    importance = matrix;
    importanceFile = source.toString();
    return this;
  }

  /**
   * Refuses an output that would overwrite what is read, before anything is computed.
   *
   * @param read a file
   * @throws QuantizationException if {@code output}, or the unfinished file beside it, is the same,
   *     also through a link
   */
  public static void requireOther(Path read, Path output) throws IOException {
    for (Path written : new Path[] {output, GgufWriter.unfinished(output)}) {
      if (Files.exists(written) && Files.isSameFile(read, written)) {
        throw new QuantizationException(
            output + ": writing there would overwrite " + read + ": name another output");
      }
    }
  }

  /**
   * Writes the output.
   *
   * @param progress told the finished share, 0 to 1, on this thread; may throw to stop
   * @throws QuantizationException if the output is part of the input, cannot be created or is full,
   *     or a weight is NaN or infinite or too large for its format; nothing is left then
   * @throws JacquardException if the input was shortened meanwhile
   */
  public void write(Path output, DoubleConsumer progress) {
    write(output, progress, UnaryOperator.identity());
  }

  /** The same, through a channel that the caller wraps. */
  void write(
      Path output, DoubleConsumer progress, UnaryOperator<WritableByteChannel> throughChannel) {
    try {
      for (TensorInfo tensor : file.tensors()) {
        requireOther(tensor.file(), output);
      }
      requireOther(file.path(), output);
      requireRoom(output);
      try (ChunkEncoder encoder = new ChunkEncoder(file, threads, plan.sourceBytes(), progress)) {
        writer(encoder, throughChannel).write(output);
      }
      progress.accept(1);
    } catch (IOException e) {
      throw new QuantizationException(
          "%s cannot be written: %s; nothing is left of it".formatted(output, reason(e)), e);
    } catch (InternalError e) {
      // The JVM's answer when a mapped page is no longer in the file.
      file.requireIntact();
      throw e;
    }
  }

  private static String reason(IOException e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }

  private void requireRoom(Path output) throws IOException {
    Path folder = Objects.requireNonNullElse(output.toAbsolutePath().getParent(), output);
    if (!Files.isDirectory(folder)) {
      throw new QuantizationException(output + ": there is no folder " + folder);
    }
    if (Files.isDirectory(output)) {
      throw new QuantizationException(output + " is a folder: name a file");
    }
    long needed = plan.bytes() + SLACK;
    long free = Files.getFileStore(folder).getUsableSpace();
    if (free < needed) {
      throw new QuantizationException(
          "%s: the disk has %d MB free, and %d MB are needed"
              .formatted(output, free / 1_000_000, needed / 1_000_000));
    }
  }

  private GgufWriter writer(
      ChunkEncoder encoder, UnaryOperator<WritableByteChannel> throughChannel) {
    ModelMetadata metadata = file.metadata();
    GgufWriter writer =
        metadata.has(ALIGNMENT) ? new GgufWriter(metadata.integer(ALIGNMENT)) : new GgufWriter();
    for (String key : metadata.keys()) {
      boolean replaced =
          key.equals(FILE_TYPE)
              || key.equals(QUANTIZATION_VERSION)
              || key.equals(ALIGNMENT)
              || key.startsWith("split.")
              || (importance != null && key.startsWith("quantize.imatrix."));
      if (!replaced) {
        writer.copy(file, key);
      }
    }
    writer
        .put(QUANTIZATION_VERSION, GgufType.UINT32, VERSION)
        .put(FILE_TYPE, GgufType.UINT32, plan.type().number());
    if (importance != null) {
      describe(importance, writer);
    }
    for (QuantizationPlan.Entry entry : plan.tensors()) {
      TensorInfo source = entry.source();
      int type = entry.target() == null ? source.typeNumber() : entry.target().ggmlType();
      float[][] importances =
          importance == null || entry.target() == null ? null : importance.of(source).orElse(null);
      writer.tensor(
          source.name(),
          GgmlTypes.byNumber(type).orElseThrow(),
          source.shape(),
          channel -> encoder.write(entry, importances, throughChannel.apply(channel)));
    }
    return writer;
  }

  private void describe(ImportanceMatrix matrix, GgufWriter writer) {
    writer.put("quantize.imatrix.file", GgufType.STRING, importanceFile);
    if (!matrix.datasets().isEmpty()) {
      writer.put("quantize.imatrix.dataset", GgufType.STRING, matrix.datasets().getFirst());
    }
    writer.put("quantize.imatrix.entries_count", GgufType.UINT32, matrix.entries().size());
    if (matrix.chunks() > 0) {
      writer.put("quantize.imatrix.chunks_count", GgufType.UINT32, matrix.chunks());
    }
  }
}
