package dev.jacquard.evaluation;

import dev.jacquard.sampling.Candidates;
import dev.jacquard.sampling.NonFiniteLogitsException;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Writes a {@link LogitsFile}, record by record as they come. The file is complete once the writer
 * is closed: only then does its header say how many records there are. One thread uses it.
 */
public final class LogitsWriter implements Closeable {
  private final FileChannel channel;
  private final int vocabulary;
  private final int entries;
  private final Candidates candidates;
  private final ByteBuffer buffer;
  private int positions;
  private long end = LogitsFile.HEADER_BYTES;

  private LogitsWriter(FileChannel channel, int vocabulary, int entries) {
    this.channel = channel;
    this.vocabulary = vocabulary;
    this.entries = entries;
    this.candidates = new Candidates(vocabulary);
    int entryBytes = entries == vocabulary ? Float.BYTES : Integer.BYTES + Float.BYTES;
    int recordBytes = Math.addExact(Float.BYTES, Math.multiplyExact(entries, entryBytes));
    this.buffer =
        ByteBuffer.allocate(Math.max(LogitsFile.HEADER_BYTES, recordBytes))
            .order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Creates the file or replaces what it held.
   *
   * @param vocabulary number of tokens
   * @param top how many of the best tokens each record holds; {@code vocabulary} or more for all
   * @throws IllegalArgumentException if one of the numbers is not positive
   * @throws IOException if the file cannot be written
   */
  public static LogitsWriter create(Path path, int vocabulary, int top) throws IOException {
    if (vocabulary <= 0 || top <= 0) {
      throw new IllegalArgumentException(
          "a logits file needs tokens, not " + top + " of " + vocabulary);
    }
    FileChannel channel =
        FileChannel.open(
            path,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE);
    try {
      var writer = new LogitsWriter(channel, vocabulary, Math.min(top, vocabulary));
      writer.writeHeader();
      return writer;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /**
   * Appends the logits after the next position.
   *
   * @param logits one for each token; not kept
   * @throws NonFiniteLogitsException if one is NaN or infinite
   * @throws IllegalArgumentException if there are more or fewer logits than tokens
   */
  public void append(float[] logits) throws IOException {
    if (logits.length != vocabulary) {
      throw new IllegalArgumentException(
          logits.length + " logits for a vocabulary of " + vocabulary);
    }
    buffer.clear().putFloat((float) LogSumExp.of(logits));
    if (entries == vocabulary) {
      for (float logit : logits) {
        buffer.putFloat(logit);
      }
    } else {
      candidates.fill(logits);
      candidates.keepTop(entries);
      for (int i = 0; i < entries; i++) {
        buffer.putInt(candidates.id(i)).putFloat(candidates.logit(i));
      }
    }
    writeAt(end);
    end += buffer.limit();
    positions = Math.incrementExact(positions);
  }

  private void writeHeader() throws IOException {
    buffer.clear().putInt(positions).putInt(vocabulary).putInt(entries).putInt(0);
    writeAt(0);
  }

  private void writeAt(long offset) throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      channel.write(buffer, offset + buffer.position());
    }
  }

  /** Writes the number of records and closes the file. Closing twice does nothing. */
  @Override
  public void close() throws IOException {
    if (channel.isOpen()) {
      try (channel) {
        writeHeader();
      }
    }
  }
}
