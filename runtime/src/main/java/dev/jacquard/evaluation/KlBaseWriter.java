package dev.jacquard.evaluation;

import dev.jacquard.sampling.NonFiniteLogitsException;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * Writes a {@link KlBase}, record by record, with the arithmetic of llama.cpp. The file stands
 * under its name only once it is complete. One thread uses it.
 */
public final class KlBaseWriter implements Closeable {
  /** What is so many nats below the best is written as if it was no less. */
  private static final float DEPTH = 16;

  private final Path path;
  private final Path unfinished;
  private final FileChannel channel;
  private final int vocabulary;
  private final ByteBuffer record;
  private long missing;

  /**
   * Begins a file.
   *
   * @param windows tokens of each window, all as many
   * @param vocabulary number of tokens
   * @throws IOException if it cannot be written
   */
  public KlBaseWriter(Path path, List<int[]> windows, int vocabulary) throws IOException {
    this.path = path;
    this.vocabulary = vocabulary;
    unfinished = path.resolveSibling(path.getFileName() + ".unfinished");
    int window = windows.getFirst().length;
    missing = (long) windows.size() * KlBase.scored(window);
    record = buffer(Math.toIntExact(KlBase.recordBytes(vocabulary)));
    channel =
        FileChannel.open(
            unfinished,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE);
    ByteBuffer head = buffer(KlBase.HEADER_BYTES + 4 * window * windows.size());
    head.put(KlBase.MAGIC.getBytes(StandardCharsets.ISO_8859_1));
    head.putInt(window).putInt(vocabulary).putInt(windows.size());
    windows.forEach(
        tokens -> {
          for (int token : tokens) {
            head.putInt(token);
          }
        });
    write(head);
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Appends the logits after the next position of the second half of a window.
   *
   * @throws NonFiniteLogitsException if one is NaN or infinite
   */
  public void append(float[] logits) throws IOException {
    double logSumExp = LogSumExp.of(logits);
    float most = logits[0];
    float least = logits[0];
    for (float logit : logits) {
      most = Math.max(most, logit);
      least = Math.min(least, logit);
    }
    least = Math.max(least, most - DEPTH);
    float scale = (most - least) / 65535;
    float inverse = scale == 0 ? 0 : 1 / scale;
    record.clear();
    record.putFloat(scale).putFloat((float) (least - logSumExp));
    for (int token = 0; token < vocabulary; token++) {
      record.putShort((short) Math.rint(inverse * (Math.max(logits[token], least) - least)));
    }
    while (record.hasRemaining()) {
      record.putShort((short) 0);
    }
    write(record);
    missing--;
  }

  private void write(ByteBuffer bytes) throws IOException {
    bytes.flip();
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /** Completes the file; if records are missing it is removed. */
  @Override
  public void close() throws IOException {
    if (channel.isOpen()) {
      channel.close();
      if (missing == 0) {
        Files.move(unfinished, path, StandardCopyOption.REPLACE_EXISTING);
      } else {
        Files.deleteIfExists(unfinished);
      }
    }
  }
}
