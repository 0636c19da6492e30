package dev.jacquard.session;

import static dev.jacquard.session.TestModels.OPTIONS;
import static dev.jacquard.session.TestModels.greedy;
import static dev.jacquard.session.TestModels.ids;
import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.session.TestModels.Output;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Sessions of a model whose engine runs. */
@Timeout(60)
final class SessionTest {
  private static final int CONTEXT = 256;

  private static float[][] logits(Session session, int[] tokens, int outputs) {
    List<float[]> rows = new ArrayList<>();
    int first = session.position() + tokens.length - outputs;
    session.evaluate(
        tokens,
        outputs,
        (position, logits) -> {
          assertEquals(first + rows.size(), position);
          rows.add(logits.clone());
        });
    assertEquals(outputs, rows.size());
    return rows.toArray(float[][]::new);
  }

  private static List<Integer> generate(Session session, int count, int... prompt) {
    return read(session.generate(greedy(count, prompt))).ids();
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "gemma3"})
  void evaluationGivesTheSameBitsHoweverItIsCut(String name) {
    int[] tokens = ids(name, 80);
    float[][] expected;
    try (Model model = TestModels.open(name, OPTIONS);
        Session session = model.newSession()) {
      expected = logits(session, tokens, 80);
      assertEquals(80, session.position());
    }
    for (int batch : new int[] {1, 9, 80}) {
      try (Model model = TestModels.open(name, OPTIONS.withBatchSize(batch));
          Session whole = model.newSession();
          Session parts = model.newSession()) {
        assertArrayEquals(expected, logits(whole, tokens, 80));
        logits(parts, Arrays.copyOf(tokens, 33), 0);
        float[][] rest = logits(parts, Arrays.copyOfRange(tokens, 33, 80), 20);
        assertArrayEquals(Arrays.copyOfRange(expected, 60, 80), rest);
      }
    }
  }

  /**
   * Here each step reads the pages of its own rows only. Rotation depends on distances only, so
   * that a page gives what it gives at the beginning of a text.
   */
  @Test
  void aSessionAndItsForksReadWhatTheirPolicySelects() {
    int page = KvStorage.PAGE_TOKENS;
    int[] tokens = ids("llama", 4 * page);
    AttentionPolicy ownPages =
        new AttentionPolicy() {
          @Override
          public Exactness exactness(int length) {
            return Exactness.DENSE;
          }

          @Override
          public void select(KvView live, int window, int firstPosition, KvView selected) {
            for (int i = 0; i < live.size(); i++) {
              if (live.firstPosition(i) >= firstPosition) {
                selected.add(live.page(i), live.firstPosition(i), live.length(i), live.pinned(i));
              }
            }
          }
        };
    try (Model model = TestModels.open("llama", OPTIONS.withBatchSize(page));
        Session session = model.newSession(ownPages)) {
      assertReadsLike(model, session, Arrays.copyOf(tokens, 2 * page));
      try (Session fork = session.fork()) {
        assertReadsLike(model, fork, Arrays.copyOfRange(tokens, 2 * page, 4 * page));
      }
    }
  }

  /** The second page's logits are those of the page alone, and not those of the whole text. */
  private static void assertReadsLike(Model model, Session session, int[] twoPages) {
    int page = KvStorage.PAGE_TOKENS;
    try (Session alone = model.newSession();
        Session dense = model.newSession()) {
      float[] expected = logits(alone, Arrays.copyOfRange(twoPages, page, 2 * page), 1)[0];
      assertArrayEquals(expected, logits(session, twoPages, 1)[0], 1e-4f);
      float[] whole = logits(dense, twoPages, 1)[0];
      assertTrue(Math.abs(whole[0] - expected[0]) > 1e-2, whole[0] + " and " + expected[0]);
    }
  }

  @Test
  void evaluationOfNothingDoesNothing() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      assertEquals(0, logits(session, new int[0], 0).length);
      assertEquals(0, session.position());
    }
  }

  @Test
  void generationGoesOnWhereTheLastOneEnded() {
    int[] prompt = ids("llama", 20);
    try (Model model = TestModels.open("llama", OPTIONS);
        Session whole = model.newSession();
        Session parts = model.newSession()) {
      List<Integer> expected = generate(whole, 30, prompt);
      List<Integer> actual = new ArrayList<>(generate(parts, 0, prompt));
      assertEquals(20, parts.position());
      actual.addAll(generate(parts, 1));
      actual.addAll(generate(parts, 29));
      assertEquals(expected, actual);
      assertEquals(50, parts.position());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "gemma3"})
  void aForkContinuesLikeTheOriginal(String name) {
    int[] prompt = ids(name, 40);
    try (Model model = TestModels.open(name, OPTIONS);
        Session fresh = model.newSession();
        Session original = model.newSession()) {
      List<Integer> expected = generate(fresh, 30, prompt);
      List<Integer> begin = generate(original, 10, prompt);
      try (Session fork = original.fork()) {
        generate(fork, 20, ids(name, 5));
        assertEquals(expected.subList(10, 30), generate(original, 20));
        assertEquals(75, fork.position());
        fork.rewind(50);
        assertEquals(expected.subList(10, 20), generate(fork, 10));
      }
      assertEquals(expected.subList(0, 10), begin);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "gemma3"})
  void rewindingGivesWhatAFreshSessionGives(String name) {
    int[] prompt = ids(name, 60);
    try (Model model = TestModels.open(name, OPTIONS.withBatchSize(16));
        Session session = model.newSession()) {
      List<Integer> expected = generate(session, 40, prompt);
      for (int position : new int[] {99, 61, 60, 17, 1, 0}) {
        // Far enough for gemma3's layers with a window to have let the beginning go.
        generate(session, 240 - session.position());
        session.rewind(position);
        assertEquals(position, session.position());
        List<Integer> ids = new ArrayList<>();
        for (int i = position; i < 60; i++) {
          ids.add(prompt[i]);
        }
        int[] rest = ids.stream().mapToInt(Integer::intValue).toArray();
        int known = Math.max(0, position - 60);
        assertEquals(
            expected.subList(known, 40), generate(session, 40 - known, rest), "from " + position);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"llama, 1", "gemma3, 61"})
  void whatAWindowHasLetGoIsComputedAgain(String name, int computed) {
    try (Model model = TestModels.open(name, OPTIONS.withBatchSize(16));
        Session session = model.newSession()) {
      generate(session, 160, ids(name, 80));
      session.rewind(61);
      Output output = read(session.generate(greedy(5)));
      assertEquals(computed, output.end().statistics().prefill().tokens());
    }
  }

  @Test
  void theContextEndsAGeneration() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      assertEquals(CONTEXT, model.context());
      Output output = read(session.generate(greedy(-1, ids("llama", 80))));
      assertEquals(FinishReason.CONTEXT_FULL, output.reason());
      assertEquals(CONTEXT - 80, output.ids().size());
      assertEquals(CONTEXT, session.position());
      assertEquals(FinishReason.CONTEXT_FULL, read(session.generate(greedy(5))).reason());
      assertThrows(ContextExceededException.class, () -> session.generate(greedy(5, 1)));
      assertThrows(
          ContextExceededException.class,
          () -> session.evaluate(new int[] {1}, 1, (position, logits) -> {}));
      session.rewind(CONTEXT - 1);
      output = read(session.generate(greedy(5)));
      assertEquals(FinishReason.CONTEXT_FULL, output.reason());
      assertEquals(1, output.ids().size());
    }
  }

  @Test
  void aPromptAsLongAsTheContextIsReadAndNothingMore() {
    try (Model model = TestModels.open("llama", OPTIONS.withContext(80));
        Session session = model.newSession()) {
      Output output = read(session.generate(greedy(5, ids("llama", 80))));
      assertEquals(FinishReason.CONTEXT_FULL, output.reason());
      assertEquals(List.of(), output.ids());
      assertEquals(80, output.end().statistics().prefill().tokens());
    }
  }

  @Test
  void noTokensWantedMeansThePromptIsOnlyRead() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      Output output = read(session.generate(greedy(0, ids("llama", 20))));
      assertEquals(FinishReason.LENGTH, output.reason());
      assertEquals(List.of(), output.ids());
      assertEquals(20, output.end().statistics().prefill().tokens());
      assertEquals(0, output.end().statistics().bytesPerToken());
    }
  }

  @Test
  void anEndOfGenerationTokenStopsUnlessIgnored() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      GenerationRequest drawn = GenerationRequest.of(ids("llama", 10)).withMaxTokens(200);
      Output ended = null;
      for (long seed = 0; ended == null; seed++) {
        session.rewind(0);
        Output output = read(session.generate(drawn.withSampling(TestModels.drawn(seed))));
        if (output.reason() == FinishReason.STOP) {
          ended = output;
          assertEquals(10 + output.ids().size(), session.position());
          drawn = drawn.withSampling(TestModels.drawn(seed));
        }
      }
      assertTrue(ended.ids().stream().noneMatch(model.tokenizer().endOfGeneration()::contains));
      session.rewind(0);
      Output whole = read(session.generate(drawn.withIgnoreEos(true)));
      assertEquals(FinishReason.LENGTH, whole.reason());
      assertEquals(ended.ids(), whole.ids().subList(0, ended.ids().size()));
      assertTrue(model.tokenizer().endOfGeneration().contains(whole.ids().get(ended.ids().size())));
    }
  }

  @Test
  void aStopStringEndsTheTextExactlyBeforeIt() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      GenerationRequest request = greedy(60, ids("llama", 10));
      Output whole = read(session.generate(request));
      String text = whole.text();
      assertEquals(model.tokenizer().decode(whole.ids().stream().mapToInt(i -> i).toArray()), text);
      for (int from = 1; from + 4 < text.length(); from += 5) {
        String stop = text.substring(from, from + 4);
        if (stop.codePoints().anyMatch(c -> c >= 0xD800 && c < 0xE000)) {
          continue;
        }
        session.rewind(0);
        Output cut = read(session.generate(request.withStopStrings("never", stop)));
        assertEquals(FinishReason.STOP, cut.reason());
        assertEquals(text.substring(0, text.indexOf(stop)), cut.text());
        assertEquals(whole.ids().subList(0, cut.ids().size()), cut.ids());
        assertEquals(10 + cut.ids().size(), session.position());
      }
    }
  }

  @Test
  void theSameSeedGivesTheSameTokensInAnySession() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session one = model.newSession();
        Session two = model.newSession()) {
      GenerationRequest request =
          GenerationRequest.of(ids("llama", 10)).withIgnoreEos(true).withMaxTokens(40);
      List<Integer> first = read(one.generate(request.withSampling(TestModels.drawn(1)))).ids();
      assertEquals(first, read(two.generate(request.withSampling(TestModels.drawn(1)))).ids());
      two.rewind(0);
      List<Integer> other = read(two.generate(request.withSampling(TestModels.drawn(2)))).ids();
      assertFalse(first.equals(other));
    }
  }

  @Test
  void cancellingFromAnotherThreadEndsIt() throws Exception {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      GenerationStream stream = session.generate(greedy(200, ids("llama", 10)));
      stream.next();
      Thread.ofVirtual().start(stream::cancel).join();
      Output output = read(stream);
      assertEquals(FinishReason.CANCELLED, output.reason());
      assertTrue(output.ids().size() < 200);
      assertFalse(stream.hasNext());
      assertThrows(NoSuchElementException.class, stream::next);
      stream.cancel();
      stream.close();
      assertEquals(5, generate(session, 5).size());
    }
  }

  @Test
  void closingAStreamFreesTheSession() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      GenerationStream stream = session.generate(greedy(200, ids("llama", 10)));
      stream.close();
      assertFalse(stream.hasNext());
      assertThrows(NoSuchElementException.class, stream::next);
      assertEquals(5, generate(session, 5).size());
    }
  }

  @Test
  void anInterruptedReaderIsToldAndTheGenerationLivesOn() throws Exception {
    WatchedBackend backend = new WatchedBackend(TestModels.reference());
    try (Model model = TestModels.byHand("llama", OPTIONS, backend)) {
      GenerationStream stream = model.newSession().generate(greedy(3, ids("llama", 10)));
      CompletableFuture<Throwable> told = new CompletableFuture<>();
      Thread reader =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      stream.next();
                    } catch (JacquardException e) {
                      told.complete(Thread.currentThread().isInterrupted() ? e : null);
                    }
                  });
      reader.interrupt();
      assertInstanceOf(InterruptedException.class, told.get().getCause());
      TestModels.finish(model);
      assertEquals(3, read(stream).ids().size());
    }
  }

  @Test
  void onlyOneCallAtATime() {
    try (Model model = TestModels.byHand("llama", OPTIONS)) {
      Session session = model.newSession();
      session.generate(greedy(3, ids("llama", 10)));
      assertThrows(IllegalStateException.class, () -> session.generate(greedy(3)));
      assertThrows(IllegalStateException.class, () -> session.rewind(0));
      assertThrows(IllegalStateException.class, session::fork);
      assertThrows(
          IllegalStateException.class, () -> session.evaluate(new int[0], 0, (p, logits) -> {}));
      assertEquals(10, session.position());
    }
  }

  @Test
  void wrongArgumentsAreRefusedAndChangeNothing() {
    try (Model model = TestModels.open("llama", OPTIONS);
        Session session = model.newSession()) {
      int vocabulary = model.vocabulary();
      assertEquals(311, vocabulary);
      assertThrows(IllegalArgumentException.class, () -> session.generate(greedy(3)));
      assertThrows(IllegalArgumentException.class, () -> session.generate(greedy(3, -1)));
      assertThrows(
          IllegalArgumentException.class, () -> session.generate(greedy(3, 1, vocabulary)));
      assertThrows(
          ContextExceededException.class, () -> session.generate(greedy(3, new int[CONTEXT + 1])));
      assertThrows(IllegalArgumentException.class, () -> logits(session, new int[] {1}, 2));
      assertThrows(IllegalArgumentException.class, () -> logits(session, new int[] {1}, -1));
      assertThrows(IllegalArgumentException.class, () -> session.rewind(-1));
      assertThrows(IllegalArgumentException.class, () -> session.rewind(1));
      assertEquals(0, session.position());
      assertEquals(3, generate(session, 3, ids("llama", 10)).size());
    }
  }

  @Test
  void aClosedSessionRefusesEverything() {
    try (Model model = TestModels.open("llama", OPTIONS)) {
      Session session = model.newSession();
      generate(session, 3, ids("llama", 10));
      session.close();
      session.close();
      assertThrows(IllegalStateException.class, () -> session.generate(greedy(3)));
      assertThrows(IllegalStateException.class, () -> session.rewind(0));
      assertThrows(IllegalStateException.class, session::fork);
      assertThrows(IllegalStateException.class, () -> logits(session, new int[] {1}, 1));
      assertEquals(0, model.engine().cache().usedBytes());
    }
  }

  @Test
  void closingASessionEndsItsGeneration() {
    try (Model model = TestModels.open("llama", OPTIONS)) {
      Session session = model.newSession();
      GenerationStream stream = session.generate(greedy(200, ids("llama", 10)));
      stream.next();
      session.close();
      assertEquals(FinishReason.CANCELLED, read(stream).reason());
      assertEquals(0, model.engine().cache().usedBytes());
    }
  }

  @Test
  void closingTheModelEndsAnEvaluationOfAnotherThread() throws Exception {
    Model model = TestModels.open("llama", OPTIONS.withBatchSize(4));
    Session session = model.newSession();
    CountDownLatch started = new CountDownLatch(1);
    CountDownLatch closed = new CountDownLatch(1);
    CompletableFuture<Void> evaluation =
        CompletableFuture.runAsync(
            () ->
                session.evaluate(
                    ids("llama", 80),
                    80,
                    (position, logits) -> {
                      started.countDown();
                      await(closed);
                    }));
    started.await();
    model.close();
    closed.countDown();
    ExecutionException failed = assertThrows(ExecutionException.class, evaluation::get);
    assertInstanceOf(IllegalStateException.class, failed.getCause());
  }

  @Test
  void aSlowConsumerStillGetsEveryRow() throws Exception {
    int[] tokens = ids("llama", 80);
    try (Model model = TestModels.open("llama", OPTIONS.withBatchSize(8));
        Session quick = model.newSession();
        Session slow = model.newSession()) {
      float[][] expected = logits(quick, tokens, 80);
      CountDownLatch other = new CountDownLatch(1);
      CompletableFuture<float[][]> rows =
          CompletableFuture.supplyAsync(
              () -> {
                List<float[]> copies = new ArrayList<>();
                slow.evaluate(
                    tokens,
                    80,
                    (position, logits) -> {
                      await(other);
                      copies.add(logits.clone());
                    });
                return copies.toArray(float[][]::new);
              });
      quick.rewind(10);
      assertEquals(20, generate(quick, 20).size()); // while the other is held up
      other.countDown();
      assertArrayEquals(expected, rows.get());
    }
  }

  @Test
  void whatAConsumerThrowsReachesTheCaller() {
    int[] tokens = ids("llama", 80);
    try (Model model = TestModels.open("llama", OPTIONS.withBatchSize(8));
        Session session = model.newSession();
        Session fresh = model.newSession()) {
      RuntimeException thrown = new UnsupportedOperationException("enough");
      assertSame(
          thrown,
          assertThrows(
              UnsupportedOperationException.class,
              () ->
                  session.evaluate(
                      tokens,
                      80,
                      (position, logits) -> {
                        if (position == 20) {
                          throw thrown;
                        }
                      })));
      assertEquals(generate(fresh, 10, tokens), generate(session, 10));
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
