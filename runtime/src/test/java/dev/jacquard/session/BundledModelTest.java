package dev.jacquard.session;

import static dev.jacquard.session.TestModels.greedy;
import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What ships: the bundled model on the vector backend. */
@Timeout(120)
final class BundledModelTest {
  private static final ModelOptions OPTIONS =
      ModelOptions.DEFAULT.withBackend("vector").withThreads(2);
  private static final int[] TEXT = TestData.ids(TestData.resource("reference/java-7m.tokens.txt"));

  /** A token that llama.cpp chose, and how far it was ahead of the second. */
  private record Choice(int id, double lead) {
    static Choice parse(String line) {
      String[] parts = line.split(" ", 2);
      return new Choice(Integer.parseInt(parts[0]), Double.parseDouble(parts[1]));
    }
  }

  @Test
  void greedyTokensAreLlamaCppsWhereTheyLeadClearly() throws IOException {
    List<Choice> expected =
        Files.readAllLines(TestData.resource("reference/java-7m.Q8_0.greedy.txt")).stream()
            .map(Choice::parse)
            .toList();
    assertEquals(96, expected.size());
    int[] prompt = Arrays.copyOf(TEXT, 32);
    try (Model model = Jacquard.open(TestData.bundledModel(), OPTIONS);
        Session session = model.newSession()) {
      int done = 0;
      while (done < expected.size()) {
        for (int id : read(session.generate(greedy(expected.size() - done, prompt))).ids()) {
          if (id != expected.get(done).id) {
            break;
          }
          done++;
        }
        if (done < expected.size()) {
          Choice narrow = expected.get(done);
          assertTrue(narrow.lead < 0.05, "token " + done + " is not " + narrow);
          session.rewind(32 + done);
          prompt = new int[] {narrow.id};
          done++;
        }
      }
    }
  }

  /** Of all threads together: the reader's, the engine's and the workers'. */
  @Test
  void aTokenAllocatesLittleOnceTheCodeIsCompiled() {
    ThreadMXBean threads = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);
    try (Model model = Jacquard.open(TestData.bundledModel(), OPTIONS);
        Session session = model.newSession()) {
      long perToken = Long.MAX_VALUE;
      for (int round = 0; round < 20 && perToken >= 2048; round++) {
        session.rewind(0);
        read(session.generate(greedy(0, TEXT)));
        long before = threads.getTotalThreadAllocatedBytes();
        assertEquals(500, read(session.generate(greedy(500))).ids().size());
        perToken = (threads.getTotalThreadAllocatedBytes() - before) / 500;
      }
      assertTrue(perToken < 2048, perToken + " bytes for a token");
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 160, 0", "1, 16, 2", "2, 160, 2", "2, 3, 2", "3, 7, 1", "4, 33, 2", "4, 1, 0"})
  void theBitsDependOnNothingButTheText(int threads, int batchSize, int others) {
    float[][] expected;
    try (Model model = Jacquard.open(TestData.bundledModel(), OPTIONS.withThreads(1));
        Session session = model.newSession()) {
      expected = logits(session, TEXT);
    }
    WatchedBackend backend =
        new WatchedBackend(Backends.open("vector", new BackendOptions(threads)));
    try (Model model =
        Jacquard.load(
            GgufFile.open(TestData.bundledModel()),
            OPTIONS.withBatchSize(batchSize),
            () -> backend)) {
      model.engine().start();
      for (int i = 0; i < others; i++) {
        GenerationStream stream = model.newSession().generate(greedy(900, 5 + i, 6, 7));
        Thread.ofVirtual().start(() -> read(stream));
      }
      Session session = model.newSession();
      float[][] first = logits(session, Arrays.copyOf(TEXT, 41));
      float[][] second = logits(session, Arrays.copyOfRange(TEXT, 41, TEXT.length));
      assertArrayEquals(Arrays.copyOf(expected, 41), first);
      assertArrayEquals(Arrays.copyOfRange(expected, 41, TEXT.length), second);
    }
    int together = backend.steps.stream().mapToInt(List::size).max().orElseThrow();
    assertEquals(1 + others, together, "sessions in one step");
  }

  private static float[][] logits(Session session, int[] tokens) {
    List<float[]> rows = new ArrayList<>();
    session.evaluate(tokens, tokens.length, (position, logits) -> rows.add(logits.clone()));
    return rows.toArray(float[][]::new);
  }
}
