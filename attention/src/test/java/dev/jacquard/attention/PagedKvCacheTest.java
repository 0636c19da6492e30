package dev.jacquard.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.StepInputs;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PagedKvCacheTest {
  private static final int WINDOW = 20;
  private static final int MAX_ROWS = 64;
  private static final KvSpec SPEC =
      new KvSpec(
          List.of(
              new KvSpec.Layer(2, 8, 8, WINDOW),
              new KvSpec.Layer(2, 8, 8, 0),
              new KvSpec.Layer(2, 8, 8, WINDOW)));

  private final RecordingStorage storage = new RecordingStorage(SPEC);
  private final StepInputs inputs = new StepInputs(MAX_ROWS, 2);
  private int nextToken = 1;

  private PagedKvCache cache() {
    return new PagedKvCache(storage, Long.MAX_VALUE);
  }

  /** A sequence together with the tokens it must hold. */
  private final class Tracked {
    final KvSequence sequence;
    final List<Integer> tokens;

    /** Positions that begin a page. */
    final Set<Integer> starts = new HashSet<>();

    final Set<Integer> pins = new HashSet<>();

    Tracked(KvSequence sequence, List<Integer> tokens) {
      this.sequence = sequence;
      this.tokens = tokens;
    }

    void startPage(int position) {
      sequence.startPage(position);
      starts.add(position);
    }

    void pin(int from, int to) {
      sequence.pin(from, to);
      IntStream.range(from, to).forEach(pins::add);
    }

    /** Inserts new tokens, whose ids are written where their keys would be. */
    void insert(int count) {
      int first = tokens.size();
      IntStream.range(0, count).forEach(_ -> tokens.add(nextToken++));
      KvView[] places = {new KvView(), new KvView()};
      sequence.insert(count, places);
      assertEquals(tokens.size(), sequence.length());
      for (int g = 0; g < 2; g++) {
        int layer = SPEC.groupWindows().get(g) == 0 ? 1 : 0;
        int least = SPEC.groupWindows().get(g) == 0 ? count : Math.min(count, WINDOW);
        int written = 0;
        for (int e = 0; e < places[g].size(); e++) {
          int from = places[g].firstPosition(e);
          for (int i = Math.max(0, first - from); i < places[g].length(e); i++) {
            float[] keys = {tokens.get(from + i)};
            storage.write(layer, places[g].page(e), i, keys, 0, keys, 0);
            written++;
          }
          storage.summarise(g, places[g].page(e), places[g].length(e));
        }
        assertTrue(written >= least && written <= count);
      }
    }

    /** Appends new tokens in a step of their own. */
    void append(int count) {
      inputs.clear();
      place(count, 1);
      storage.run(inputs);
      check(0);
    }

    /** Adds new tokens to the step. */
    void place(int count, int outputs) {
      int[] fresh = IntStream.range(0, count).map(i -> nextToken++).toArray();
      int first = inputs.rows();
      sequence.append(inputs, fresh, 0, count, outputs, AttentionPolicy.DENSE);
      for (int i = 0; i < count; i++) {
        assertEquals(tokens.size(), inputs.position(first + i));
        assertEquals(fresh[i], inputs.token(first + i));
        tokens.add(fresh[i]);
      }
      assertEquals(tokens.size(), sequence.length());
    }

    /** Compares what the views of a step show with the tokens that rows of the step may see. */
    void check(int index) {
      int first = -1;
      for (int row = inputs.rows() - 1; row >= 0; row--) {
        first = inputs.sequence(row) == index ? inputs.position(row) : first;
      }
      for (int g = 0; g < 2; g++) {
        int window = SPEC.groupWindows().get(g);
        KvView view = inputs.view(index, g);
        int position = view.size() == 0 ? 0 : view.firstPosition(0);
        int needed = window == 0 ? 0 : Math.max(0, first - window + 1);
        assertTrue(position <= needed && position > needed - PAGE_TOKENS, "too much is read");
        for (int e = 0; e < view.size(); e++) {
          assertEquals(position, view.firstPosition(e));
          List<Integer> positions =
              IntStream.range(position, position + view.length(e)).boxed().toList();
          assertEquals(positions.stream().anyMatch(pins::contains), view.pinned(e));
          assertTrue(positions.stream().skip(1).noneMatch(starts::contains), "two files in a page");
          if (e + 1 < view.size()) {
            boolean filled =
                view.length(e) == PAGE_TOKENS || starts.contains(position + view.length(e));
            assertTrue(filled, "a page with room");
            assertEquals(
                tokens.subList(position, position + view.length(e)),
                storage.summary(g, view.page(e)),
                "the summary of a complete page");
          }
          for (int i = 0; i < view.length(e); i++) {
            assertEquals(tokens.get(position), storage.token(g, view.page(e), i));
            position++;
          }
        }
        assertEquals(tokens.size(), position);
      }
    }

    Tracked fork() {
      Tracked copy = new Tracked(sequence.fork(), new ArrayList<>(tokens));
      copy.starts.addAll(starts);
      copy.pins.addAll(pins);
      return copy;
    }

    void truncate(int length) {
      sequence.truncate(length);
      tokens.subList(length, tokens.size()).clear();
      starts.removeIf(start -> start > length);
      pins.removeIf(pin -> pin >= length);
      assertEquals(length, sequence.length());
    }
  }

  private Tracked track(KvCache cache) {
    return new Tracked(cache.newSequence(), new ArrayList<>());
  }

  @Test
  void aStepOfSeveralSequencesKnowsItsRowsPlacesAndOutputs() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      Tracked b = track(cache);
      a.append(5);
      inputs.clear();
      b.place(3, 0);
      a.place(20, 2);
      storage.run(inputs);
      b.check(0);
      a.check(1);
      assertEquals(2, inputs.sequences());
      assertEquals(23, inputs.rows());
      assertEquals(2, inputs.outputs());
      assertEquals(21, inputs.outputRow(0));
      assertEquals(22, inputs.outputRow(1));
      assertEquals(24, inputs.position(22));
    }
  }

  @Test
  void forksShareFullPagesAndCopyThePartlyFilledOneWhenTheyWrite() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      a.append(PAGE_TOKENS + 3);
      long two = cache.usedBytes();
      Tracked b = a.fork();
      assertEquals(two, cache.usedBytes());
      b.append(1);
      assertEquals(2, storage.copies, "one page of each group");
      assertEquals(two / 2 * 3, cache.usedBytes());
      a.append(1);
      assertEquals(2, storage.copies, "the other owner has the page for itself now");
      b.append(PAGE_TOKENS);
      a.append(PAGE_TOKENS);
      a.sequence.close();
      b.append(1);
      b.sequence.close();
      b.sequence.close();
      assertEquals(0, cache.usedBytes());
    }
  }

  @Test
  void goingBackIntoASharedPageAlsoCopiesIt() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      a.append(2 * PAGE_TOKENS);
      Tracked b = a.fork();
      b.truncate(PAGE_TOKENS + 5);
      b.append(4);
      a.append(4);
      assertEquals(2, storage.copies);
    }
  }

  @Test
  void windowedLayersLetPagesGoBehindTheSlack() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      for (int i = 0; i < 40; i++) {
        a.append(50);
      }
      long unwindowed = 2000 / PAGE_TOKENS * storage.pageBytes(1);
      long windowed = (cache.usedBytes() - unwindowed) / storage.pageBytes(0);
      int kept = WINDOW + PagedKvCache.SLACK + 50;
      assertTrue(windowed >= kept / PAGE_TOKENS && windowed <= kept / PAGE_TOKENS + 2);

      assertTrue(a.sequence.canTruncate(1950 - PagedKvCache.SLACK));
      assertFalse(a.sequence.canTruncate(1950 - PagedKvCache.SLACK - PAGE_TOKENS));
      assertThrows(IllegalArgumentException.class, () -> a.sequence.truncate(1000));
      assertEquals(2000, a.sequence.length());
      a.truncate(1950 - PagedKvCache.SLACK);
      a.append(1);
      assertTrue(a.sequence.canTruncate(0), "the beginning needs nothing that was let go");
      a.truncate(0);
      assertEquals(0, cache.usedBytes());
      a.append(30);
    }
  }

  @Test
  void aPageThatWasCutIsNotContinued() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      a.append(PAGE_TOKENS + 3);
      a.startPage(PAGE_TOKENS + 3);
      a.startPage(PAGE_TOKENS + 5);
      a.append(3);
      assertEquals(4 * (storage.pageBytes(0) + storage.pageBytes(1)), cache.usedBytes());
      a.truncate(PAGE_TOKENS + 3);
      a.append(1);
      assertEquals(3 * (storage.pageBytes(0) + storage.pageBytes(1)), cache.usedBytes());
      a.truncate(PAGE_TOKENS + 2);
      a.append(1);
      assertEquals(2 * (storage.pageBytes(0) + storage.pageBytes(1)), cache.usedBytes());
      assertThrows(IllegalArgumentException.class, () -> a.sequence.startPage(3));
      assertThrows(IllegalArgumentException.class, () -> a.sequence.pin(3, 2));
      assertThrows(IllegalArgumentException.class, () -> a.sequence.pin(-1, 2));
    }
  }

  @Test
  void cuttingAPageThatAForkHasMoreOfCopiesItAndSpeaksOfItsOwnTokensOnly() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      a.append(10);
      Tracked b = a.fork();
      b.truncate(7);
      b.startPage(7);
      b.append(20);
      assertEquals(2, storage.copies);
      a.append(20);
      assertEquals(2, storage.copies, "the other owner has the page for itself now");
      Tracked c = a.fork();
      c.startPage(30);
      c.append(1);
      assertEquals(2, storage.copies, "a summary that is right needs no copy");
    }
  }

  @Test
  void insertedTokensBehindAWindowAreNotHeld() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      a.append(5);
      a.startPage(5);
      a.insert(1000);
      long unwindowed = (1 + (1000 + PAGE_TOKENS - 1) / PAGE_TOKENS) * storage.pageBytes(1);
      long windowed = (cache.usedBytes() - unwindowed) / storage.pageBytes(0);
      assertTrue(windowed <= (WINDOW + PagedKvCache.SLACK) / PAGE_TOKENS + 1);
      a.append(1);
      assertTrue(a.sequence.canTruncate(1005 - PagedKvCache.SLACK));
      assertFalse(a.sequence.canTruncate(500));
      KvView[] places = {new KvView(), new KvView()};
      assertThrows(IllegalArgumentException.class, () -> a.sequence.insert(0, places));
      assertThrows(IllegalArgumentException.class, () -> a.sequence.insert(1, new KvView[1]));
      assertEquals(1006, a.sequence.length());
    }
  }

  @Test
  void insertingIntoAFullCacheSaysSoAndChangesNothing() {
    try (PagedKvCache cache = new PagedKvCache(storage, 100)) {
      Tracked a = track(cache);
      a.append(60);
      KvView[] places = {new KvView(), new KvView()};
      assertThrows(KvCacheFullException.class, () -> a.sequence.insert(1000, places));
      assertEquals(60, a.sequence.length());
      a.insert(40);
      assertThrows(KvCacheFullException.class, () -> a.append(30));
      assertEquals(100, a.sequence.length());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 40, 500})
  void theByteBoundHoldsForManyFiles(int files) {
    Random random = new Random(files);
    int tokens = 0;
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      for (int i = 0; i < files; i++) {
        int count = 1 + random.nextInt(random.nextBoolean() ? 3 : 60);
        a.startPage(tokens);
        a.append(count);
        tokens += count;
        long bound = PagedKvCache.bytes(SPEC, KvFormat.F16, tokens, MAX_ROWS, i + 1);
        assertTrue(cache.usedBytes() <= bound);
      }
    }
  }

  @Test
  void impossibleLengthsAreRefused() {
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      a.append(10);
      assertFalse(a.sequence.canTruncate(-1));
      assertFalse(a.sequence.canTruncate(11));
      assertThrows(IllegalArgumentException.class, () -> a.sequence.truncate(11));
      inputs.clear();
      int[] tokens = new int[MAX_ROWS + 1];
      assertThrows(IllegalArgumentException.class, () -> append(a, tokens, 0, MAX_ROWS + 1, 0));
      assertThrows(IllegalArgumentException.class, () -> append(a, tokens, 3, 3, 0));
      assertThrows(IllegalArgumentException.class, () -> append(a, tokens, 0, 2, 3));
      assertThrows(IllegalArgumentException.class, () -> append(a, tokens, 0, 99, 1));
      assertEquals(10, a.sequence.length());
      assertEquals(0, inputs.sequences());
    }
  }

  private void append(Tracked to, int[] tokens, int from, int end, int outputs) {
    to.sequence.append(inputs, tokens, from, end, outputs, AttentionPolicy.DENSE);
  }

  @Test
  void aFullCacheSaysSoAndChangesNothing() {
    try (PagedKvCache cache = new PagedKvCache(storage, 100)) {
      Tracked a = track(cache);
      a.append(60);
      a.append(40);
      long used = cache.usedBytes();
      assertEquals(7, storage.pages(1));
      Tracked b = a.fork();
      inputs.clear();
      int[] tokens = new int[MAX_ROWS];
      for (Tracked t : List.of(a, b)) {
        assertThrows(KvCacheFullException.class, () -> append(t, tokens, 0, MAX_ROWS, 1));
        assertEquals(100, t.sequence.length());
      }
      assertEquals(0, inputs.rows());
      assertEquals(0, inputs.sequences());
      assertEquals(used, cache.usedBytes());
      b.sequence.close();
      a.truncate(90);
      a.append(10);
    }
  }

  @Test
  void aDeviceWithoutMemoryIsAFullCacheToo() {
    storage.devicePages = 2;
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      KvCacheFullException e =
          assertThrows(KvCacheFullException.class, () -> a.append(PAGE_TOKENS * 3));
      assertTrue(e.getCause() instanceof BackendException);
      assertEquals(0, a.sequence.length());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 16, 17, 64, 200, 1000, 3000})
  void theByteBoundHoldsForLongSequencesInLargeSteps(int tokens) {
    long bound = PagedKvCache.bytes(SPEC, KvFormat.F16, tokens, MAX_ROWS);
    try (PagedKvCache cache = cache()) {
      Tracked a = track(cache);
      while (a.tokens.size() < tokens) {
        a.append(Math.min(MAX_ROWS, tokens - a.tokens.size()));
        assertTrue(cache.usedBytes() <= bound);
      }
    }
  }

  @Test
  void closedThingsSaySo() {
    PagedKvCache cache = cache();
    Tracked a = track(cache);
    Tracked b = track(cache);
    a.sequence.close();
    assertThrows(IllegalStateException.class, () -> a.append(1));
    assertThrows(IllegalStateException.class, a.sequence::fork);
    cache.close();
    cache.close();
    assertTrue(storage.closed);
    assertThrows(IllegalStateException.class, () -> b.append(1));
    assertThrows(IllegalStateException.class, cache::newSequence);
    b.sequence.close();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void randomOperationsAgreeWithLists(long seed) {
    Random random = new Random(seed);
    try (PagedKvCache cache = cache()) {
      List<Tracked> all = new ArrayList<>(List.of(track(cache)));
      for (int round = 0; round < 1000; round++) {
        Tracked one = all.get(random.nextInt(all.size()));
        switch (random.nextInt(12)) {
          case 0 -> {
            if (all.size() < 12) {
              all.add(one.fork());
            }
          }
          case 1 -> {
            int length = Math.max(0, one.tokens.size() - random.nextInt(500));
            if (one.sequence.canTruncate(length)) {
              one.truncate(length);
            }
          }
          case 2 -> {
            if (all.size() > 1 && random.nextInt(3) == 0) {
              one.sequence.close();
              all.remove(one);
            }
          }
          case 3, 4 -> one.append(1);
          case 5 -> one.append(1 + random.nextInt(MAX_ROWS));
          case 6 -> {
            one.insert(1 + random.nextInt(random.nextBoolean() ? 20 : 400));
            one.append(1);
          }
          case 7 -> one.startPage(one.tokens.size() + random.nextInt(3) * random.nextInt(40));
          case 8 -> {
            int from = Math.max(0, one.tokens.size() - random.nextInt(100) + random.nextInt(40));
            one.pin(from, from + random.nextInt(30));
          }
          default -> stepOfAll(all, random);
        }
      }
      for (Tracked one : all) {
        one.append(1);
        one.sequence.close();
      }
      assertEquals(0, cache.usedBytes());
    }
  }

  /** One step with rows of every sequence, as a batch of many sessions has. */
  private void stepOfAll(List<Tracked> all, Random random) {
    inputs.clear();
    for (Tracked one : all) {
      one.place(1 + random.nextInt(MAX_ROWS / all.size()), random.nextInt(2));
    }
    requireDistinctPlaces();
    storage.run(inputs);
    for (int i = 0; i < all.size(); i++) {
      all.get(i).check(i);
    }
  }

  private void requireDistinctPlaces() {
    for (int g = 0; g < 2; g++) {
      Set<Integer> places = new HashSet<>();
      for (int row = 0; row < inputs.rows(); row++) {
        int place = inputs.writePage(g, row) * PAGE_TOKENS + inputs.writeOffset(g, row);
        assertTrue(places.add(place), "two rows are written to one place");
      }
    }
  }

  @Test
  void manyForksOfOnePrompt() {
    try (PagedKvCache cache = cache()) {
      Tracked prompt = track(cache);
      prompt.append(37);
      long shared = cache.usedBytes();
      List<Tracked> forks = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        forks.add(prompt.fork());
      }
      assertEquals(shared, cache.usedBytes());
      forks.forEach(fork -> fork.append(2));
      forks.forEach(fork -> fork.append(30));
      prompt.append(1);
      prompt.sequence.close();
      forks.forEach(fork -> fork.append(1));
      forks.forEach(fork -> fork.sequence.close());
      assertEquals(0, cache.usedBytes());
    }
  }
}
