package dev.jacquard.evaluation;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.memory.MappedFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * What a model says about a text, as the file that {@code llama-perplexity --kl-divergence-base}
 * writes and reads: windows of tokens, and for each token of the second half of a window the
 * logarithms of all probabilities before it, rounded to 16 bits. {@link KlBaseWriter} writes it.
 *
 * <pre>
 *  byte  0          8        12         16       20
 *        +----------+--------+----------+--------+----------------------------+--------------
 *        | _logits_ | window | vocab-   | win-   | window × windows token ids | records …
 *        |          | n      | ulary v  | dows w | int32                      |
 *        +----------+--------+----------+--------+----------------------------+--------------
 *
 *  record, for positions n/2 … n − 2 of each window:
 *        | scale f32 | least f32 | v × uint16 q, padded to an even number |     ln p = least + scale·q
 * </pre>
 *
 * <p>All is little-endian. What is 16 nats and more below the best is the least. One thread uses
 * it.
 */
public final class KlBase implements AutoCloseable {
  static final String MAGIC = "_logits_";
  static final int HEADER_BYTES = 20;

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Tokens that are less probable are left out of the divergence, as llama.cpp does. */
  private static final float LEAST_LOG_PROBABILITY = -16;

  private final MappedFile file;
  private final MemorySegment data;
  private final int window;
  private final int vocabulary;
  private final int windows;

  private KlBase(Path path, MappedFile file) {
    this.file = file;
    data = file.segment();
    if (data.byteSize() < HEADER_BYTES || !magic().equals(MAGIC)) {
      throw fault(path, "a file that begins with " + MAGIC, data.byteSize() + " other bytes");
    }
    window = data.get(INT, 8);
    vocabulary = data.get(INT, 12);
    windows = data.get(INT, 16);
    if (window < 3 || vocabulary < 1 || windows < 1) {
      throw fault(
          path,
          "windows of 3 tokens or more",
          "%d windows of %d, %d tokens".formatted(windows, window, vocabulary));
    }
    long expected =
        HEADER_BYTES
            + 4L * window * windows
            + (long) windows * scored(window) * recordBytes(vocabulary);
    if (data.byteSize() != expected) {
      throw fault(path, expected + " bytes", data.byteSize() + ": it was not completed");
    }
    for (long i = 0; i < (long) window * windows; i++) {
      int token = data.get(INT, HEADER_BYTES + 4 * i);
      if (token < 0 || token >= vocabulary) {
        throw fault(path, "ids of tokens", String.valueOf(token));
      }
    }
  }

  private String magic() {
    byte[] bytes = data.asSlice(0, MAGIC.length()).toArray(ValueLayout.JAVA_BYTE);
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  private static JacquardException fault(Path path, String expected, String found) {
    return new JacquardException(
        "%s: no base of a divergence: expected %s, found %s".formatted(path, expected, found));
  }

  /**
   * Opens a file and checks it against its size.
   *
   * @throws IOException if it cannot be read
   * @throws JacquardException if it is no such file, or not complete
   */
  public static KlBase open(Path path) throws IOException {
    MappedFile file = MappedFile.open(path);
    try {
      return new KlBase(path, file);
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  /** Positions of a window that have a record. */
  static int scored(int window) {
    return window - 1 - window / 2;
  }

  static long recordBytes(int vocabulary) {
    return 2L * (2 * ((vocabulary + 1) / 2) + 4);
  }

  /** Tokens of a window. */
  public int window() {
    return window;
  }

  /** Number of windows. */
  public int windows() {
    return windows;
  }

  /** Number of tokens there are. */
  public int vocabulary() {
    return vocabulary;
  }

  /** The tokens of window {@code w}. */
  public int[] tokens(int w) {
    return data.asSlice(HEADER_BYTES + 4L * window * w, 4L * window).toArray(INT);
  }

  /** The base's logarithm of the probability of {@code token} in record {@code i} of a window. */
  public double logProbability(int w, int i, int token) {
    long at = record(w, i);
    return at(at, token);
  }

  private double at(long record, int token) {
    int q = Short.toUnsignedInt(data.get(SHORT, record + 8 + 2L * token));
    return data.get(FLOAT, record) * q + data.get(FLOAT, record + 4);
  }

  private long record(int w, int i) {
    long index = (long) w * scored(window) + i;
    return HEADER_BYTES + 4L * window * windows + index * recordBytes(vocabulary);
  }

  /**
   * KL(base ‖ other) after a position, in nats.
   *
   * @param logits of the other, for the same position
   * @param logSumExp of these
   */
  public double divergence(int w, int i, float[] logits, double logSumExp) {
    long record = record(w, i);
    float scale = data.get(FLOAT, record);
    float least = data.get(FLOAT, record + 4);
    double sum = 0;
    for (int token = 0; token < vocabulary; token++) {
      int q = Short.toUnsignedInt(data.get(SHORT, record + 8 + 2L * token));
      double log = scale * q + least;
      if (log > LEAST_LOG_PROBABILITY) {
        sum += Math.exp(log) * (log - logits[token] + logSumExp);
      }
    }
    return sum;
  }

  /** The base's best token in record {@code i} of a window, of equal ones the lowest. */
  public int best(int w, int i) {
    long record = record(w, i);
    int best = 0;
    int most = -1;
    for (int token = 0; token < vocabulary; token++) {
      int q = Short.toUnsignedInt(data.get(SHORT, record + 8 + 2L * token));
      if (q > most) {
        most = q;
        best = token;
      }
    }
    return best;
  }

  @Override
  public void close() {
    file.close();
  }
}
