package dev.jacquard.evaluation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.memory.JacquardException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files of a base's probabilities, and what is compared with them. */
class KlBaseTest {
  private static final int VOCABULARY = 37;
  private static final int WINDOW = 8;
  private static final int SCORED = 3;

  @TempDir private Path folder = Path.of("");
  private final Random random = new Random(6);

  private float[] logits(double spread) {
    float[] logits = new float[VOCABULARY];
    for (int i = 0; i < VOCABULARY; i++) {
      logits[i] = (float) (spread * random.nextGaussian());
    }
    return logits;
  }

  private List<int[]> windows(int count) {
    List<int[]> windows = new ArrayList<>();
    for (int w = 0; w < count; w++) {
      windows.add(random.ints(WINDOW, 0, VOCABULARY).toArray());
    }
    return windows;
  }

  private Path write(List<int[]> windows, List<float[]> records) throws IOException {
    Path file = folder.resolve("base.bin");
    try (KlBaseWriter writer = new KlBaseWriter(file, windows, VOCABULARY)) {
      for (float[] record : records) {
        writer.append(record);
      }
    }
    return file;
  }

  @Test
  void probabilitiesComeBackWithinARoundingOf16Bits() throws IOException {
    List<int[]> windows = windows(2);
    List<float[]> records = new ArrayList<>();
    for (int i = 0; i < 2 * SCORED; i++) {
      records.add(logits(i + 1)); // the last ones spread over more than 16 nats
    }
    try (KlBase base = KlBase.open(write(windows, records))) {
      assertEquals(2, base.windows());
      assertEquals(WINDOW, base.window());
      for (int w = 0; w < 2; w++) {
        assertArrayEquals(windows.get(w), base.tokens(w));
        for (int i = 0; i < SCORED; i++) {
          float[] logits = records.get(w * SCORED + i);
          double sum = LogSumExp.of(logits);
          int best = 0;
          for (int token = 0; token < VOCABULARY; token++) {
            best = logits[token] > logits[best] ? token : best;
            double log = Math.max(logits[token], max(logits) - 16) - sum;
            assertEquals(log, base.logProbability(w, i, token), 16.0 / 65535);
          }
          assertEquals(best, base.best(w, i));
          assertEquals(0, base.divergence(w, i, logits, sum), 1e-4);
        }
      }
    }
  }

  private static float max(float[] logits) {
    float most = logits[0];
    for (float logit : logits) {
      most = Math.max(most, logit);
    }
    return most;
  }

  /** The layout, byte by byte, as llama.cpp's log_softmax writes it. */
  @Test
  void theFormIsThatOfLlamaPerplexity() throws IOException {
    int[] window = {1, 2, 3, 4, 5, 6, 7, 8};
    float[] logits = new float[VOCABULARY];
    logits[3] = 8;
    logits[4] = -30;
    ByteBuffer bytes =
        ByteBuffer.wrap(Files.readAllBytes(write(List.of(window), List.of(logits, logits, logits))))
            .order(ByteOrder.LITTLE_ENDIAN);
    byte[] magic = new byte[8];
    bytes.get(magic);
    assertArrayEquals("_logits_".getBytes(java.nio.charset.StandardCharsets.US_ASCII), magic);
    assertEquals(WINDOW, bytes.getInt());
    assertEquals(VOCABULARY, bytes.getInt());
    assertEquals(1, bytes.getInt());
    for (int token : window) {
      assertEquals(token, bytes.getInt());
    }
    assertEquals(16 / 65535f, bytes.getFloat());
    assertEquals(-8 - LogSumExp.of(logits), bytes.getFloat(), 1e-6);
    for (int token = 0; token < VOCABULARY; token++) {
      int expected = token == 3 ? 65535 : token == 4 ? 0 : 32768;
      assertEquals(expected, Short.toUnsignedInt(bytes.getShort()), 1, "token " + token);
    }
    assertEquals(0, bytes.getShort(), "37 tokens are padded to 38");
    assertEquals(2 * (8 + 2 * 38), bytes.remaining());
  }

  @Test
  void qualityHasTheMeansOfThePositions() throws IOException {
    List<int[]> windows = windows(3);
    List<float[]> records = new ArrayList<>();
    List<float[]> others = new ArrayList<>();
    for (int i = 0; i < 3 * SCORED; i++) {
      float[] logits = logits(1);
      float[] other = logits.clone();
      other[i] += 0.5f;
      records.add(logits);
      others.add(other);
    }
    double loss = 0;
    double difference = 0;
    double kl = 0;
    int agreeing = 0;
    for (int i = 0; i < records.size(); i++) {
      double p = LogSumExp.of(records.get(i));
      double q = LogSumExp.of(others.get(i));
      int next = windows.get(i / SCORED)[WINDOW / 2 + i % SCORED + 1];
      loss += q - others.get(i)[next];
      difference += q - others.get(i)[next] - p + records.get(i)[next];
      int bestP = 0;
      int bestQ = 0;
      for (int token = 0; token < VOCABULARY; token++) {
        double log = records.get(i)[token] - p;
        kl += Math.exp(log) * (log - others.get(i)[token] + q);
        bestP = records.get(i)[token] > records.get(i)[bestP] ? token : bestP;
        bestQ = others.get(i)[token] > others.get(i)[bestQ] ? token : bestQ;
      }
      agreeing += bestP == bestQ ? 1 : 0;
    }
    int n = records.size();
    try (KlBase base = KlBase.open(write(windows, records))) {
      int[] window = {0};
      Quality quality =
          Quality.measure(
              base,
              (tokens, consumer) -> {
                assertArrayEquals(windows.get(window[0]), tokens);
                for (int i = 0; i < SCORED; i++) {
                  consumer.accept(WINDOW / 2 + i, others.get(window[0] * SCORED + i));
                }
                window[0]++;
              },
              done -> assertEquals(window[0], done));
      assertEquals(n, quality.positions());
      assertEquals(Math.exp(loss / n), quality.perplexity(), 1e-6);
      assertEquals(Math.exp(difference / n), quality.factor(), 1e-3);
      assertEquals(kl / n, quality.klMean(), 1e-4);
      assertEquals((double) agreeing / n, quality.top1());
      assertTrue(quality.klMax() >= quality.kl99() && quality.kl99() >= quality.klMean());
      assertTrue(quality.factorError() > 0 && quality.factorError() < quality.perplexityError());
    }
  }

  @Test
  void whatIsIncompleteOrAnotherFileIsRefused() throws IOException {
    Path file = write(windows(1), List.of(logits(1), logits(1)));
    assertFalse(Files.exists(file), "one record is missing");
    try (var files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
    write(windows(1), List.of(logits(1), logits(1), logits(1)));
    byte[] good = Files.readAllBytes(file);
    for (int length : new int[] {0, 7, 19, good.length - 1}) {
      Files.write(file, Arrays.copyOf(good, length));
      assertThrows(JacquardException.class, () -> KlBase.open(file), "length " + length);
    }
    for (int at : new int[] {0, 8, 11, 12, 16, 19, 21, 23}) {
      byte[] bad = good.clone();
      bad[at] ^= (byte) 0x80;
      Files.write(file, bad);
      assertThrows(JacquardException.class, () -> KlBase.open(file), "byte " + at);
    }
  }
}
