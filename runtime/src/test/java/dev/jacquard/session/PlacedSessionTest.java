package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kvstore.KvStore;
import dev.jacquard.kvstore.KvStoreException;
import dev.jacquard.kvstore.StoredFile;
import dev.jacquard.testing.NanScale;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sessions that are fed stored files. */
class PlacedSessionTest {
  private static final int VOCABULARY = 311;

  @TempDir private Path folder = Path.of("");
  private final WatchedBackend backend = new WatchedBackend(TestModels.reference());
  private final Model model =
      TestModels.byHand(
          "llama", TestModels.OPTIONS.withKvFormat(KvFormat.F16).withBatchSize(64), backend);

  @AfterEach
  void close() {
    model.close();
  }

  private static int[] file(int seed, int count) {
    return IntStream.range(0, count).map(i -> (seed * 31 + i * i * 7 + i) % VOCABULARY).toArray();
  }

  private KvStore started() {
    model.engine().start();
    return model.store(folder, 1 << 30);
  }

  /** Ids of a session that has {@link Model#lead} and these files. */
  private static int[] joined(int[] lead, int[]... files) {
    return IntStream.concat(IntStream.of(lead), Arrays.stream(files).flatMapToInt(IntStream::of))
        .toArray();
  }

  private static List<float[]> logits(Session session, int... tokens) {
    List<float[]> all = new ArrayList<>();
    session.evaluate(tokens, tokens.length, (_, row) -> all.add(row.clone()));
    return all;
  }

  private static double difference(List<float[]> a, List<float[]> b) {
    double largest = 0;
    assertEquals(a.size(), b.size());
    for (int i = 0; i < a.size(); i++) {
      for (int id = 0; id < a.get(i).length; id++) {
        largest = Math.max(largest, Math.abs(a.get(i)[id] - b.get(i)[id]));
      }
    }
    return largest;
  }

  /** The rows that were computed since the last call, as first position and number. */
  private List<String> steps() {
    List<String> all =
        backend.steps.stream()
            .flatMap(List::stream)
            .map(part -> part.firstPosition() + "+" + part.rows())
            .toList();
    backend.steps.clear();
    return all;
  }

  @Test
  void theFirstFileIsPlacedWholeAndItsContinuationIsAsComputed() {
    KvStore store = started();
    int[] ids = file(1, 100);
    StoredFile stored = model.store(store, ids);
    assertEquals(stored.path(), store.find(model.lead(), ids).orElseThrow().path());
    steps();
    try (Session computed = model.newSession();
        Session placed = model.newSession()) {
      computed.evaluate(joined(model.lead(), ids), 0, (_, _) -> {});
      placed.evaluate(model.lead(), 0, (_, _) -> {});
      steps();
      placed.place(store, stored);
      assertEquals(model.lead().length + 100, placed.position());
      List<float[]> found = logits(placed, 5, 6, 7);
      int question = model.lead().length + 100;
      assertEquals(List.of(question + "+3"), steps(), "nothing else was computed");
      double error = difference(logits(computed, 5, 6, 7), found);
      assertTrue(error > 0 && error < 0.2, "rounding to 8 bits: " + error);
    }
  }

  @Test
  void ofLaterFilesTheFirstTokensAreComputed() {
    KvStore store = started();
    int[] first = file(1, 100);
    int[] second = file(2, 90);
    int[] third = file(3, 16);
    StoredFile one = model.store(store, first);
    StoredFile two = model.store(store, second);
    StoredFile three = model.store(store, third);
    int lead = model.lead().length;
    try (Session session = model.newSession()) {
      session.evaluate(model.lead(), 0, (_, _) -> {});
      session.place(store, one);
      session.place(store, two);
      session.place(store, three);
      steps();
      assertEquals(2, logits(session, 5, 6).size());
      assertEquals(
          List.of((lead + 100) + "+" + Session.RECOMPUTED, (lead + 190) + "+18"),
          steps(),
          "the first of each, a question");

      // Everything can be given up and comes back, and forks have it too.
      try (Session fork = session.fork()) {
        model
            .engine()
            .call(
                () -> {
                  session.sequence().forgetAll();
                  return true;
                });
        steps();
        List<float[]> again = logits(session, 7);
        assertEquals(
            List.of("0+" + lead, (lead + 100) + "+" + Session.RECOMPUTED, (lead + 190) + "+19"),
            steps(),
            "it is placed again");
        assertEquals(0, difference(logits(fork, 7), again));
      }

      // Back into a file: what is left of it is no stored file any more, but still cached.
      session.rewind(lead + 150);
      steps();
      assertEquals(1, logits(session, 9).size());
      assertEquals(List.of((lead + 150) + "+1"), steps());
    }
  }

  @Test
  void howManyTokensAreComputedCanBeChosen() {
    KvStore store = started();
    StoredFile one = model.store(store, file(1, 100));
    StoredFile two = model.store(store, file(2, 90));
    int lead = model.lead().length;
    for (int recomputed : new int[] {0, 40, 200}) {
      try (Session session = model.newSession()) {
        session.evaluate(model.lead(), 0, (_, _) -> {});
        session.place(store, one);
        session.place(store, two, recomputed);
        steps();
        assertEquals(1, logits(session, 5).size());
        List<String> expected =
            switch (recomputed) {
              case 0 -> List.of((lead + 190) + "+1");
              case 40 -> List.of((lead + 100) + "+40", (lead + 190) + "+1");
              default -> List.of((lead + 100) + "+64", (lead + 164) + "+27"); // steps have 64 rows
            };
        assertEquals(expected, steps());
        assertThrows(IllegalArgumentException.class, () -> session.place(store, two, -1));
      }
    }
  }

  @Test
  void generationGoesOnAfterAPlacedFile() {
    KvStore store = started();
    int[] ids = file(1, 100);
    StoredFile stored = model.store(store, ids);
    TestModels.Output expected;
    try (Session session = model.newSession()) {
      expected = TestModels.read(session.generate(TestModels.greedy(8, joined(model.lead(), ids))));
    }
    try (Session session = model.newSession()) {
      session.evaluate(model.lead(), 0, (_, _) -> {});
      session.place(store, stored);
      steps();
      TestModels.Output output = TestModels.read(session.generate(TestModels.greedy(8)));
      assertEquals(expected.ids(), output.ids());
      assertEquals(new GenerationEvent.Prefill(100, 100), output.prefills().getLast());
      assertEquals(1, output.end().statistics().prefill().tokens(), "the file's last token");
      assertEquals(7, output.end().statistics().decode().tokens());
    }
  }

  /** A stored file that is damaged or gone when its turn comes is computed, with the same bits. */
  @Test
  void whatCannotBePlacedIsComputed() throws IOException {
    KvStore store = started();
    int[] first = file(1, 100);
    int[] second = file(2, 90);
    List<float[]> expected;
    try (Session session = model.newSession()) {
      session.evaluate(joined(model.lead(), first, second), 0, (_, _) -> {});
      expected = logits(session, 5, 6);
    }
    StoredFile one = model.store(store, first);
    StoredFile two = model.store(store, second);
    byte[] bytes = Files.readAllBytes(one.path());
    bytes[bytes.length - 1] ^= 1;
    try (Session session = model.newSession()) {
      session.evaluate(model.lead(), 0, (_, _) -> {});
      session.place(store, one);
      session.place(store, two);
      Files.write(one.path(), bytes);
      Files.delete(two.path());
      assertEquals(0, difference(expected, logits(session, 5, 6)));
    }
    assertTrue(store.find(model.lead(), first).isEmpty(), "the damaged file is gone");
  }

  /** Files that are stored at the same time share steps and are what they are alone. */
  @Test
  void severalFilesAtOnce() throws Exception {
    KvStore alone = started();
    KvStore together = model.store(folder.resolve("together"), 1 << 30);
    List<int[]> files = IntStream.range(1, 9).mapToObj(i -> file(i, 20 + i)).toList();
    try (var threads = Executors.newFixedThreadPool(4)) {
      List<Future<StoredFile>> stored =
          files.stream().map(ids -> threads.submit(() -> model.store(together, ids))).toList();
      for (int i = 0; i < files.size(); i++) {
        assertArrayEquals(
            Files.readAllBytes(model.store(alone, files.get(i)).path()),
            Files.readAllBytes(stored.get(i).get().path()));
      }
    }
  }

  @Test
  void aFailedStepStoresNothing() throws IOException {
    KvStore store = started();
    backend.failNextStep = true;
    assertThrows(RuntimeException.class, () -> model.store(store, file(1, 30)));
    assertNothingIn(folder);
    assertThrows(
        ContextExceededException.class, () -> model.store(store, new int[model.context()]));
    assertThrows(KvStoreException.class, () -> model.store(model.store(folder, 100), file(1, 30)));
    model.store(store, file(1, 30));
    assertTrue(store.find(model.lead(), file(1, 30)).isPresent());
  }

  /** No keys and values, and no part of such a file. */
  private static void assertNothingIn(Path store) throws IOException {
    try (Stream<Path> left = Files.list(store)) {
      assertEquals(List.of(), left.filter(p -> !p.toString().endsWith(".model")).toList());
    }
  }

  @Test
  void numbersThatAreNotFiniteAreNotStored() throws IOException {
    Path path = NanScale.write(Files.createDirectories(folder.resolve("model")));
    try (Model broken = Jacquard.open(path, TestModels.OPTIONS)) {
      KvStore store = broken.store(folder.resolve("store"), 1 << 30);
      KvStoreException e =
          assertThrows(KvStoreException.class, () -> broken.store(store, file(1, 30)));
      assertTrue(String.valueOf(e.getMessage()).contains("not finite"), e.getMessage());
      assertNothingIn(store.folder());
      StoredFile stored = model.store(started(), file(1, 30));
      try (Session session = broken.newSession()) {
        assertThrows(
            IllegalArgumentException.class, () -> session.place(model.store(folder, 100), stored));
      }
    }
  }
}
