package dev.jacquard.quantization;

import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.DoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Encodes tensors in chunks on several threads and writes them in order. At most two chunks a
 * thread are under way. Used by one thread, which writes; it is also the one that closes.
 */
final class ChunkEncoder implements AutoCloseable {
  /** Elements of a chunk: whole blocks of every format. */
  private static final int CHUNK = 1 << 18;

  /** Memory of a chunk, used again and again. */
  private static final class Buffer {
    float[] values = {};
    byte[] bytes = {};
    int elements;
    int count;

    ByteBuffer encoded() {
      return ByteBuffer.wrap(bytes, 0, count);
    }
  }

  /**
   * What is to be done with one tensor.
   *
   * @param target the tensor's own format if its bytes are copied
   * @param importances of the columns of each of its matrices, or null
   */
  @SuppressWarnings("ArrayRecordComponent") // private, never compared
  private record Job(
      TensorInfo source, Tensor tensor, ElementFormat target, float @Nullable [][] importances) {
    boolean copies() {
      return target == tensor.format();
    }
  }

  private final GgufFile file;
  private final int ahead;
  private final DoubleConsumer progress;
  private final double allBytes;
  private final ExecutorService workers;
  private final Deque<Buffer> free = new ArrayDeque<>();
  private final Deque<Future<Buffer>> running = new ArrayDeque<>();
  private double doneBytes;

  /**
   * Starts the threads.
   *
   * @param allBytes of the tensors that will be read
   * @param progress told the share of them that is read and written
   */
  ChunkEncoder(GgufFile file, int threads, long allBytes, DoubleConsumer progress) {
    this.file = file;
    ahead = 2 * threads;
    this.progress = progress;
    this.allBytes = Math.max(1, allBytes);
    workers =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().name("jacquard-quantizer-", 1).daemon().factory());
  }

  /**
   * Writes one tensor.
   *
   * @param importances of the columns of each of its matrices, or null
   * @throws QuantizationException if a value is not finite, or too large for the format
   */
  void write(
      QuantizationPlan.Entry entry, float @Nullable [][] importances, WritableByteChannel channel)
      throws IOException {
    file.requireIntact();
    TensorInfo source = entry.source();
    if (ElementFormats.byGgmlType(source.typeNumber()).isEmpty()) {
      GgufWriter.TensorData.of(file.data(source)).writeTo(channel);
      advance(source.bytes());
      return;
    }
    Tensor tensor = file.tensor(source.name()).orElseThrow();
    ElementFormat target = entry.target() == null ? tensor.format() : entry.target();
    Job job = new Job(source, tensor, target, importances);
    long elements = source.shape().elements();
    long length = length(job);
    long submitted = 0;
    while (submitted < elements || !running.isEmpty()) {
      if (submitted < elements && running.size() < ahead) {
        Buffer buffer = free.isEmpty() ? new Buffer() : free.pop();
        long first = submitted;
        int count = (int) Math.min(length, elements - submitted);
        running.add(workers.submit(() -> encode(job, first, count, buffer)));
        submitted += count;
      } else {
        Buffer done = next();
        ByteBuffer encoded = done.encoded();
        while (encoded.hasRemaining()) {
          channel.write(encoded);
        }
        free.push(done);
        advance(tensor.format().bytes(done.elements));
      }
    }
  }

  private void advance(long bytes) {
    doneBytes += bytes;
    progress.accept(doneBytes / allBytes);
  }

  /** Elements of a chunk: whole rows where importances belong to columns, else whole blocks. */
  private static long length(Job job) {
    long columns = job.source.shape().columns();
    return job.importances == null ? CHUNK : columns * Math.max(1, CHUNK / columns);
  }

  private Buffer next() {
    try {
      return running.remove().get();
    } catch (ExecutionException e) {
      switch (Objects.requireNonNull(e.getCause())) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new IllegalStateException(e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while quantising", e);
    }
  }

  private static Buffer encode(Job job, long first, int count, Buffer buffer) {
    ElementFormat format = job.tensor.format();
    if (buffer.values.length < count) {
      buffer.values = new float[count];
    }
    format.decode(job.tensor.data(), format.bytes(first), buffer.values, 0, count);
    requireFinite(job, first, buffer.values, count);
    buffer.elements = count;
    buffer.count = Math.toIntExact(job.target.bytes(count));
    if (buffer.bytes.length < buffer.count) {
      buffer.bytes = new byte[buffer.count];
    }
    MemorySegment bytes = MemorySegment.ofArray(buffer.bytes);
    if (job.copies()) {
      MemorySegment.copy(job.tensor.data(), format.bytes(first), bytes, 0, buffer.count);
      return buffer;
    }
    try {
      if (job.importances == null) {
        job.target.encode(buffer.values, 0, count, bytes, 0);
      } else {
        encodeRows(job, job.importances, first, count, buffer.values, bytes);
      }
    } catch (IllegalArgumentException e) {
      long columns = job.source.shape().columns();
      throw new QuantizationException(
          "%s: tensor %s, rows %d to %d: %s"
              .formatted(
                  job.source.file(),
                  job.source.name(),
                  first / columns,
                  (first + count - 1) / columns,
                  e.getMessage()),
          e);
    }
    return buffer;
  }

  private static void encodeRows(
      Job job, float[][] importances, long first, int count, float[] values, MemorySegment bytes) {
    int columns = job.tensor.columns();
    long matrixRows = job.source.shape().rows() / importances.length;
    for (int at = 0; at < count; at += columns) {
      long row = (first + at) / columns;
      job.target.encodeRow(
          values, at, importances[(int) (row / matrixRows)], bytes, job.target.bytes(at));
    }
  }

  private static void requireFinite(Job job, long first, float[] values, int count) {
    // As integers, magnitudes have the order of their values: a loop that is compiled to vectors.
    int largest = 0;
    for (int i = 0; i < count; i++) {
      largest = Math.max(largest, Float.floatToRawIntBits(values[i]) & Integer.MAX_VALUE);
    }
    if (Float.isFinite(Float.intBitsToFloat(largest))) {
      return;
    }
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(values[i])) {
        long columns = job.source.shape().columns();
        throw new QuantizationException(
            "%s: tensor %s has the value %s at row %d, column %d: the file is damaged or the model is"
                .formatted(
                    job.source.file(),
                    job.source.name(),
                    values[i],
                    (first + i) / columns,
                    (first + i) % columns));
      }
    }
  }

  @Override
  public void close() {
    workers.shutdownNow();
    workers.close();
  }
}
