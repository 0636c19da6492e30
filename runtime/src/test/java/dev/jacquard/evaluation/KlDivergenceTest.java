package dev.jacquard.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KlDivergenceTest {
  private static final Path Q8_0 = TestData.resource("reference/java-7m.Q8_0.logits.bin");
  private static final Path Q4_0 = TestData.resource("reference/java-7m.Q4_0.logits.bin");

  private final Path folder;

  KlDivergenceTest(@TempDir Path folder) {
    this.folder = folder;
  }

  private static PositionLogits full(double... probabilities) {
    float[] logits = new float[probabilities.length];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) Math.log(probabilities[i]) + 3;
    }
    return PositionLogits.full(LogSumExp.of(logits), logits);
  }

  private static PositionLogits cut(int[] ids, double... probabilities) {
    float[] logits = new float[ids.length];
    for (int i = 0; i < ids.length; i++) {
      logits[i] = (float) Math.log(probabilities[i]);
    }
    return PositionLogits.cut(0, ids, logits);
  }

  @Test
  void ofTwoCoins() {
    double expected = 0.5 * Math.log(0.5 / 0.9) + 0.5 * Math.log(0.5 / 0.1);
    assertEquals(expected, KlDivergence.of(full(0.5, 0.5), full(0.9, 0.1)), 1e-7);
    assertEquals(0, KlDivergence.of(full(0.3, 0.7), full(0.3, 0.7)), 0);
  }

  /** Only token 1 is held by both; all else is one bucket. */
  @Test
  void whatACutRecordLeavesOutIsOneBucket() {
    double expected = 0.6 * Math.log(0.6 / 0.5) + 0.4 * Math.log(0.4 / 0.5);
    int[] ofP = {1, 2};
    int[] ofQ = {1, 0};
    assertEquals(expected, KlDivergence.of(cut(ofP, 0.6, 0.3), cut(ofQ, 0.5, 0.4)), 1e-7);
    double withFull =
        0.6 * Math.log(0.6 / 0.5) + 0.3 * Math.log(0.3 / 0.1) + 0.1 * Math.log(0.1 / 0.4);
    assertEquals(withFull, KlDivergence.of(cut(ofP, 0.6, 0.3), full(0.4, 0.5, 0.1)), 1e-7);
    assertEquals(
        0.5 * Math.log(0.5 / 0.6) + 0.1 * Math.log(0.1 / 0.3) + 0.4 * Math.log(0.4 / 0.1),
        KlDivergence.of(full(0.4, 0.5, 0.1), cut(ofP, 0.6, 0.3)),
        1e-7);
  }

  @Test
  void aFileIsNoDistanceFromItself() throws IOException {
    assertEquals(new KlDivergence(160, 0, 0, 0, 1, 0), KlDivergence.between(Q8_0, Q8_0));
  }

  /** The expected numbers are those of the reference script's arithmetic on the same files. */
  @Test
  void fullFilesOfTheReference() throws IOException {
    KlDivergence kl = KlDivergence.between(Q8_0, Q4_0);
    assertEquals(160, kl.positions());
    assertEquals(0.028946597999331435, kl.mean(), 1e-12);
    assertEquals(0.13983039404483585, kl.max(), 1e-12);
    assertEquals(0.8875, kl.topAgreement(), 0);
    assertEquals(2.22843074798584, kl.largestLogitDifference(), 1e-12);
    assertTrue(kl.percentile99() > kl.mean() && kl.percentile99() < kl.max(), kl.toString());
  }

  @Test
  void cutFilesOfTheReference() throws IOException {
    Path q8Cut = cut(Q8_0, 64);
    Path q4Cut = cut(Q4_0, 32);
    assertKl(0.021324259448634118, 0.10512013502996159, KlDivergence.between(q8Cut, q4Cut));
    assertKl(0.02390741569569128, 0.10939759543198557, KlDivergence.between(q8Cut, Q4_0));
    assertKl(0.021391701170210154, 0.10512013502996159, KlDivergence.between(Q8_0, q4Cut));
  }

  private static void assertKl(double mean, double max, KlDivergence found) {
    // The logsumexp of a cut file is rounded to single precision once more.
    assertEquals(mean, found.mean(), 1e-6);
    assertEquals(max, found.max(), 1e-6);
    assertEquals(0.8875, found.topAgreement(), 0);
  }

  private Path cut(Path full, int top) throws IOException {
    Path path = folder.resolve(full.getFileName() + "." + top);
    try (LogitsFile file = LogitsFile.open(full);
        LogitsWriter writer = LogitsWriter.create(path, file.vocabulary(), top)) {
      float[] logits = new float[file.vocabulary()];
      for (int i = 0; i < file.positions(); i++) {
        PositionLogits position = file.read(i);
        for (int id = 0; id < logits.length; id++) {
          logits[id] = position.logit(id);
        }
        writer.append(logits);
      }
    }
    return path;
  }

  @Test
  void theShorterFileDecidesHowManyPositionsAreCompared() throws IOException {
    Path gemma = TestData.resource("reference/gemma-3-270m.java.logits.bin");
    Path longer = TestData.resource("reference/gemma-3-270m.long.logits.bin");
    KlDivergence kl = KlDivergence.between(gemma, longer);
    assertEquals(512, kl.positions());
    assertEquals(2.6135458350055547, kl.mean(), 1e-12);
    assertEquals(15.44287184342923, kl.max(), 1e-12);
    assertEquals(0.015625, kl.topAgreement(), 0);
  }

  @Test
  void percentilesAreInterpolated() {
    assertEquals(7, KlDivergence.percentile(new double[] {7}, 0.99), 0);
    assertEquals(1.99, KlDivergence.percentile(new double[] {1, 2}, 0.99), 1e-12);
    double[] hundredOne = new double[101];
    for (int i = 0; i <= 100; i++) {
      hundredOne[i] = i;
    }
    assertEquals(99, KlDivergence.percentile(hundredOne, 0.99), 1e-12);
    assertEquals(100, KlDivergence.percentile(hundredOne, 1), 0);
  }

  @Test
  void filesThatCannotBeComparedAreRefused() throws IOException {
    Path gemma = TestData.resource("reference/gemma-3-270m.java.logits.bin");
    var e = assertThrows(JacquardException.class, () -> KlDivergence.between(Q8_0, gemma));
    assertTrue(e.toString().contains("4096 tokens in " + Q8_0), e.toString());
    Path empty = folder.resolve("empty.bin");
    LogitsWriter.create(empty, 4096, 4096).close();
    e = assertThrows(JacquardException.class, () -> KlDivergence.between(Q8_0, empty));
    assertEquals("nothing to compare: " + empty + " is empty", e.getMessage());
  }
}
