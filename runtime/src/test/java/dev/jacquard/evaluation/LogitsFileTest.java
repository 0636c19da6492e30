package dev.jacquard.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.sampling.NonFiniteLogitsException;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LogitsFileTest {
  private final Path folder;

  LogitsFileTest(@TempDir Path folder) {
    this.folder = folder;
  }

  private static float[] random(int vocabulary, long seed) {
    Random random = new Random(seed);
    float[] logits = new float[vocabulary];
    for (int i = 0; i < vocabulary; i++) {
      logits[i] = (float) random.nextGaussian() * 5;
    }
    return logits;
  }

  private Path write(int vocabulary, int top, int positions) throws IOException {
    Path path = folder.resolve("written.bin");
    try (LogitsWriter writer = LogitsWriter.create(path, vocabulary, top)) {
      for (int i = 0; i < positions; i++) {
        writer.append(random(vocabulary, i));
      }
    }
    return path;
  }

  @Test
  void fullFilesComeBackAsTheyWereWritten() throws IOException {
    try (LogitsFile file = LogitsFile.open(write(50, 50, 3))) {
      assertEquals(3, file.positions());
      assertEquals(50, file.vocabulary());
      assertEquals(50, file.entries());
      for (int position : new int[] {2, 0, 1}) {
        float[] logits = random(50, position);
        PositionLogits read = file.read(position);
        assertTrue(read.isFull());
        assertEquals(50, read.size());
        assertEquals(LogSumExp.of(logits), read.logSumExp(), 1e-6);
        for (int id = 0; id < 50; id++) {
          assertEquals(id, read.id(id));
          assertEquals(id, read.indexOf(id));
          assertEquals(logits[id], read.logit(id));
        }
        assertEquals(-1, read.indexOf(50));
        assertEquals(-1, read.indexOf(-1));
      }
      assertThrows(IndexOutOfBoundsException.class, () -> file.read(3));
    }
  }

  @Test
  void cutFilesHoldTheBest() throws IOException {
    try (LogitsFile file = LogitsFile.open(write(50, 8, 4))) {
      assertEquals(8, file.entries());
      for (int position = 0; position < 4; position++) {
        float[] logits = random(50, position);
        float[] sorted = logits.clone();
        Arrays.sort(sorted);
        PositionLogits read = file.read(position);
        assertFalse(read.isFull());
        assertEquals(LogSumExp.of(logits), read.logSumExp(), 1e-6);
        assertEquals(read.id(0), read.best());
        for (int i = 0; i < 8; i++) {
          assertEquals(sorted[49 - i], read.logit(i));
          assertEquals(logits[read.id(i)], read.logit(i));
          assertEquals(i, read.indexOf(read.id(i)));
        }
        long held = IntStream.range(0, 50).filter(id -> read.indexOf(id) >= 0).count();
        assertEquals(8, held);
        assertEquals(-1, read.indexOf(-1));
        assertEquals(-1, read.indexOf(Integer.MAX_VALUE));
      }
    }
  }

  @Test
  void moreThanAllIsAllAndNoPositionIsAFileToo() throws IOException {
    try (LogitsFile file = LogitsFile.open(write(5, 256, 0))) {
      assertEquals(0, file.positions());
      assertEquals(5, file.entries());
      assertThrows(IndexOutOfBoundsException.class, () -> file.read(0));
    }
  }

  @Test
  void theFilesOfTheReferenceAreRead() throws IOException {
    try (LogitsFile full = LogitsFile.open(TestData.resource("reference/java-7m.Q8_0.logits.bin"));
        LogitsFile cut =
            LogitsFile.open(TestData.resource("reference/gemma-3-270m.java.logits.bin"))) {
      assertEquals(
          List.of(160, 4096, 4096, 512, 262_144, 256),
          List.of(
              full.positions(),
              full.vocabulary(),
              full.entries(),
              cut.positions(),
              cut.vocabulary(),
              cut.entries()));
      PositionLogits position = full.read(159);
      double sum = 0;
      for (int id = 0; id < position.size(); id++) {
        sum += Math.exp(position.logProbability(id));
      }
      assertEquals(1, sum, 1e-5);
      for (int i = 0; i < cut.positions(); i++) {
        assertTrue(cut.read(i).logProbability(0) <= 0);
      }
    }
  }

  @Test
  void logitsThatCannotBeWrittenAreRefused() throws IOException {
    Path path = folder.resolve("refused.bin");
    try (LogitsWriter writer = LogitsWriter.create(path, 3, 2)) {
      writer.append(new float[] {1, 2, 3});
      assertThrows(
          NonFiniteLogitsException.class, () -> writer.append(new float[] {1, Float.NaN, 3}));
      assertThrows(IllegalArgumentException.class, () -> writer.append(new float[] {1, 2}));
      writer.append(new float[] {6, 5, 4});
    }
    try (LogitsFile file = LogitsFile.open(path)) {
      assertEquals(2, file.positions());
      assertEquals(2, file.read(0).best());
      assertEquals(0, file.read(1).best());
    }
    assertThrows(IllegalArgumentException.class, () -> LogitsWriter.create(path, 0, 2));
    assertThrows(IllegalArgumentException.class, () -> LogitsWriter.create(path, 3, 0));
  }

  /** Bytes of a file: every number as int32, but floats as float32. */
  private Path broken(Number... numbers) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(4 * numbers.length).order(ByteOrder.LITTLE_ENDIAN);
    for (Number number : numbers) {
      if (number instanceof Float f) {
        bytes.putFloat(f);
      } else {
        bytes.putInt(number.intValue());
      }
    }
    return Files.write(folder.resolve("broken.bin"), bytes.array());
  }

  private void assertFault(String expected, Number... numbers) throws IOException {
    Path path = broken(numbers);
    var e =
        assertThrows(
            JacquardException.class,
            () -> {
              try (LogitsFile file = LogitsFile.open(path)) {
                file.read(0);
              }
            });
    assertEquals(path + ": not a logits file: at byte " + expected, e.getMessage());
  }

  @Test
  void brokenFilesAreRefusedWithThePlaceOfTheFault() throws IOException {
    int huge = Integer.MAX_VALUE;
    assertFault("0 expected a header of 16 bytes, found 12 bytes", 1, 1, 1);
    assertFault("0 expected a number of positions, found -1", -1, 1, 1, 0);
    assertFault("4 expected a vocabulary size, found 0", 1, 0, 1, 0);
    assertFault("8 expected 1 to 4 entries, found 5", 1, 4, 5, 0);
    assertFault("8 expected 1 to 4 entries, found 0", 1, 4, 0, 0);
    assertFault("12 expected 0, found 7", 1, 4, 4, 7);
    assertFault(
        "16 expected 2147483647 records of 8589934592 bytes, found 0 bytes", huge, huge, huge, 0);
    assertFault(
        "16 expected 2147483647 records of 17179869172 bytes, found 4 bytes",
        huge,
        huge,
        huge - 1,
        0,
        0);
    assertFault("16 expected 1 records of 12 bytes, found 8 bytes", 1, 2, 2, 0, 1f, 1f);
    assertFault("16 expected 1 records of 12 bytes, found 16 bytes", 1, 2, 2, 0, 1f, 1f, 1f, 1f);
    assertFault("16 expected a finite number, found NaN", 1, 2, 2, 0, Float.NaN, 1f, 1f);
    assertFault(
        "24 expected a finite number, found Infinity", 1, 2, 2, 0, 1f, 1f, Float.POSITIVE_INFINITY);
    assertFault("20 expected an id below 9, found 9", 1, 9, 2, 0, 1f, 9, 1f, 0, 1f);
    assertFault("28 expected an id below 9, found -1", 1, 9, 2, 0, 1f, 8, 1f, -1, 1f);
    assertFault(
        "28 expected the best tokens first, found 2.0 after 1.0", 1, 9, 2, 0, 1f, 8, 1f, 7, 2f);
    assertFault(
        "16 expected different tokens, found token 8 occurs twice", 1, 9, 2, 0, 1f, 8, 1f, 8, 1f);
  }

  @Test
  void anUnfinishedFileIsRefused() throws IOException {
    Path path = folder.resolve("unfinished.bin");
    LogitsWriter writer = LogitsWriter.create(path, 2, 2);
    writer.append(new float[] {1, 2});
    assertThrows(JacquardException.class, () -> LogitsFile.open(path));
    writer.close();
    writer.close();
    LogitsFile.open(path).close();
    assertThrows(NoSuchFileException.class, () -> LogitsFile.open(folder.resolve("none")));
  }
}
