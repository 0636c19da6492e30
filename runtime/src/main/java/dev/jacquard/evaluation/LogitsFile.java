package dev.jacquard.evaluation;

import dev.jacquard.memory.JacquardException;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A file of logits, one record for each position of a token sequence, open to be read. One thread
 * uses it. {@link LogitsWriter} writes such files.
 *
 * <pre>
 *  byte  0          4            8         12     16
 *        +----------+------------+---------+------+----------------------
 *        | n        | vocabulary | entries | 0    | n records …            int32
 *        +----------+------------+---------+------+----------------------
 *
 *  record, entries = vocabulary ("full"):    record, entries &lt; vocabulary ("cut"):
 *  +-----------+------------------------+    +-----------+-------------------------------+
 *  | logsumexp | vocabulary × logit     |    | logsumexp | entries × (int32 id, float32  |
 *  | float32   | float32, by id         |    | float32   | logit), best first            |
 *  +-----------+------------------------+    +-----------+-------------------------------+
 * </pre>
 *
 * <p>All is little-endian. The logsumexp is over all logits, in a cut record too.
 */
public final class LogitsFile implements Closeable {
  static final int HEADER_BYTES = 16;

  private final Path path;
  private final FileChannel channel;
  private final int positions;
  private final int vocabulary;
  private final int entries;

  private LogitsFile(Path path, FileChannel channel) throws IOException {
    this.path = path;
    this.channel = channel;
    long size = channel.size();
    if (size < HEADER_BYTES) {
      throw fault(0, "a header of " + HEADER_BYTES + " bytes", size + " bytes");
    }
    ByteBuffer header = readAt(0, HEADER_BYTES);
    positions = header.getInt();
    vocabulary = header.getInt();
    entries = header.getInt();
    int reserved = header.getInt();
    if (positions < 0) {
      throw fault(0, "a number of positions", positions);
    }
    if (vocabulary <= 0) {
      throw fault(4, "a vocabulary size", vocabulary);
    }
    if (entries <= 0 || entries > vocabulary) {
      throw fault(8, "1 to " + vocabulary + " entries", entries);
    }
    if (reserved != 0) {
      throw fault(12, "0", reserved);
    }
    long body = size - HEADER_BYTES;
    if (body % recordBytes() != 0 || body / recordBytes() != positions) {
      throw fault(
          HEADER_BYTES, positions + " records of " + recordBytes() + " bytes", body + " bytes");
    }
  }

  /**
   * Opens a file and checks its header against its size.
   *
   * @throws IOException if it cannot be read
   * @throws JacquardException if it is no such file; with file, offset, expected and found
   */
  public static LogitsFile open(Path path) throws IOException {
    FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
    try {
      return new LogitsFile(path, channel);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** Number of records. */
  public int positions() {
    return positions;
  }

  /** Number of tokens there are. */
  public int vocabulary() {
    return vocabulary;
  }

  /** Number of tokens that a record holds. */
  public int entries() {
    return entries;
  }

  /**
   * Reads the logits after position {@code index}.
   *
   * @throws IOException if they cannot be read
   * @throws JacquardException if they are not finite, or an id is no token or occurs twice
   */
  public PositionLogits read(int index) throws IOException {
    long offset = HEADER_BYTES + Objects.checkIndex(index, positions) * recordBytes();
    ByteBuffer bytes = readAt(offset, Math.toIntExact(recordBytes()));
    float logSumExp = finite(offset, bytes);
    float[] logits = new float[entries];
    if (entries == vocabulary) {
      for (int id = 0; id < entries; id++) {
        logits[id] = finite(offset, bytes);
      }
      return PositionLogits.full(logSumExp, logits);
    }
    int[] ids = new int[entries];
    for (int i = 0; i < entries; i++) {
      int at = bytes.position();
      ids[i] = bytes.getInt();
      if (ids[i] < 0 || ids[i] >= vocabulary) {
        throw fault(offset + at, "an id below " + vocabulary, ids[i]);
      }
      logits[i] = finite(offset, bytes);
      if (i > 0 && logits[i] > logits[i - 1]) {
        throw fault(offset + at, "the best tokens first", logits[i] + " after " + logits[i - 1]);
      }
    }
    try {
      return PositionLogits.cut(logSumExp, ids, logits);
    } catch (IllegalArgumentException e) {
      throw fault(offset, "different tokens", e.getMessage());
    }
  }

  private long recordBytes() {
    long entryBytes = entries == vocabulary ? Float.BYTES : Integer.BYTES + Float.BYTES;
    return Float.BYTES + entries * entryBytes;
  }

  private float finite(long record, ByteBuffer bytes) {
    int at = bytes.position();
    float value = bytes.getFloat();
    if (!Float.isFinite(value)) {
      throw fault(record + at, "a finite number", value);
    }
    return value;
  }

  /** Reads bytes that the size of the file was checked to contain. */
  private ByteBuffer readAt(long offset, int count) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
    while (bytes.hasRemaining()) {
      if (channel.read(bytes, offset + bytes.position()) < 0) {
        throw new EOFException(path + ": the file became shorter while it was read");
      }
    }
    return bytes.flip();
  }

  private JacquardException fault(long offset, String expected, @Nullable Object found) {
    return new JacquardException(
        path
            + ": not a logits file: at byte "
            + offset
            + " expected "
            + expected
            + ", found "
            + found);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
