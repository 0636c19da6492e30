package dev.jacquard.session;

import static dev.jacquard.session.TestModels.OPTIONS;
import static dev.jacquard.session.TestModels.byHand;
import static dev.jacquard.session.TestModels.finish;
import static dev.jacquard.session.TestModels.greedy;
import static dev.jacquard.session.TestModels.ids;
import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.session.GenerationEvent.Prefill;
import dev.jacquard.session.TestModels.Output;
import dev.jacquard.session.WatchedBackend.Part;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The engine, stepped by hand. */
@Timeout(60)
final class EngineTest {
  private final WatchedBackend backend = new WatchedBackend(TestModels.reference());

  private Output alone(String model, ModelOptions options, GenerationRequest request) {
    try (Model fresh = byHand(model, options)) {
      GenerationStream stream = fresh.newSession().generate(request);
      finish(fresh);
      return read(stream);
    }
  }

  @Test
  void anIdleEngineIsIdle() {
    try (Model model = byHand("llama", OPTIONS)) {
      assertEquals(0, model.engine().doWork());
    }
  }

  @Test
  void aPromptIsReadInChunksThenTokensComeOneByOne() {
    try (Model model = byHand("llama", OPTIONS.withBatchSize(16), backend)) {
      GenerationStream stream = model.newSession().generate(greedy(3, ids("llama", 40)));
      finish(model);
      Output output = read(stream);
      assertEquals(FinishReason.LENGTH, output.reason());
      assertEquals(3, output.ids().size());
      assertEquals(
          List.of(new Prefill(16, 40), new Prefill(32, 40), new Prefill(40, 40)),
          output.prefills());
      assertEquals(
          List.of(
              List.of(new Part(0, 16, 0)),
              List.of(new Part(16, 16, 0)),
              List.of(new Part(32, 8, 1)),
              List.of(new Part(40, 1, 1)),
              List.of(new Part(41, 1, 1))),
          backend.steps);
    }
  }

  @Test
  void anyChunkSizeGivesTheSameTokens() {
    GenerationRequest request = greedy(25, ids("llama", 30));
    List<Integer> expected = alone("llama", OPTIONS, request).ids();
    for (int batch : new int[] {1, 7, 16, 29, 30}) {
      assertEquals(expected, alone("llama", OPTIONS.withBatchSize(batch), request).ids());
    }
  }

  @Test
  void sessionsSideBySideGiveWhatEachGivesAlone() {
    ModelOptions options = OPTIONS.withBatchSize(16);
    GenerationRequest first = greedy(40, ids("llama", 20));
    GenerationRequest second =
        GenerationRequest.of(ids("llama", 61)).withIgnoreEos(true).withMaxTokens(30);
    try (Model model = byHand("llama", options)) {
      GenerationStream one = model.newSession().generate(first);
      for (int i = 0; i < 7; i++) {
        model.engine().doWork();
      }
      GenerationStream two = model.newSession().generate(second);
      finish(model);
      assertEquals(alone("llama", options, first).ids(), read(one).ids());
      assertEquals(alone("llama", options, second).ids(), read(two).ids());
    }
  }

  @Test
  void aLongPromptDoesNotStopOthers() {
    try (Model model = byHand("llama", OPTIONS.withBatchSize(16), backend)) {
      model.newSession().generate(greedy(50, ids("llama", 3)));
      model.engine().doWork();
      model.newSession().generate(greedy(50, ids("llama", 40)));
      backend.steps.clear();
      model.engine().doWork();
      model.engine().doWork();
      model.engine().doWork();
      model.engine().doWork();
      assertEquals(
          List.of(
              List.of(new Part(3, 1, 1), new Part(0, 15, 0)),
              List.of(new Part(4, 1, 1), new Part(15, 15, 0)),
              List.of(new Part(5, 1, 1), new Part(30, 10, 1)),
              List.of(new Part(6, 1, 1), new Part(40, 1, 1))),
          backend.steps);
    }
  }

  @Test
  void whoIsLeftOutComesFirstNextTime() {
    try (Model model = byHand("llama", OPTIONS.withBatchSize(2), backend)) {
      for (int i = 1; i <= 3; i++) {
        model.newSession().generate(greedy(50, ids("llama", i)));
      }
      for (int i = 0; i < 30; i++) {
        model.engine().doWork();
      }
      List<Integer> latest =
          backend.steps.subList(24, 30).stream()
              .flatMap(List::stream)
              .map(Part::firstPosition)
              .sorted()
              .toList();
      assertEquals(12, latest.size());
      // In six steps of two rows each of the three sessions had four.
      assertTrue(latest.getLast() - latest.getFirst() <= 6, latest::toString);
    }
  }

  @Test
  void aSlowReaderHoldsUpOnlyItself() {
    GenerationRequest request = greedy(200, ids("llama", 10));
    List<Integer> expected = alone("llama", OPTIONS, greedy(50, ids("llama", 10))).ids();
    try (Model model = byHand("llama", OPTIONS)) {
      Session slowSession = model.newSession();
      GenerationStream slow = slowSession.generate(request);
      GenerationStream quick = model.newSession().generate(greedy(50, ids("llama", 10)));
      finish(model);
      assertEquals(expected, read(quick).ids());
      int position = slowSession.position();
      assertTrue(position < 100, () -> "a bounded queue stopped it at " + position);
      assertEquals(0, model.engine().doWork());

      slow.next();
      slow.next();
      finish(model);
      assertEquals(position + 2, slowSession.position());
      slow.cancel();
      finish(model);
      assertEquals(FinishReason.CANCELLED, read(slow).reason());
    }
  }

  @Test
  void aFailedStepClosesItsSessionsAndSparesTheOthers() {
    int[] prompt = ids("llama", 30);
    List<Integer> expected = alone("llama", OPTIONS, greedy(20, prompt)).ids();
    try (Model model = byHand("llama", OPTIONS, backend)) {
      Session spared = model.newSession();
      GenerationStream before = spared.generate(greedy(10, prompt));
      finish(model);
      assertEquals(expected.subList(0, 10), read(before).ids());

      Session failed = model.newSession();
      GenerationStream failing = failed.generate(greedy(10, prompt));
      backend.failNextStep = true;
      finish(model);
      Output output = read(failing);
      assertEquals(FinishReason.ERROR, output.reason());
      assertInstanceOf(BackendException.class, output.end().error());
      IllegalStateException closed =
          assertThrows(IllegalStateException.class, () -> failed.generate(greedy(1, prompt)));
      assertTrue(closed.toString().contains("the device is gone"), closed::toString);
      failed.close();

      // The failure spoilt all keys and values; the spared session's are computed again.
      GenerationStream after = spared.generate(greedy(10));
      finish(model);
      Output rest = read(after);
      assertEquals(expected.subList(10, 20), rest.ids());
      assertEquals(40, rest.end().statistics().prefill().tokens());
    }
  }

  @Test
  void logitsThatAreNoNumbersEndTheGeneration() {
    int[] prompt = ids("llama", 5);
    try (Model model = byHand("llama", OPTIONS, backend)) {
      Session session = model.newSession();
      GenerationStream stream = session.generate(greedy(10, prompt));
      backend.spoilNextLogits = true;
      finish(model);
      Output output = read(stream);
      assertEquals(FinishReason.ERROR, output.reason());
      Throwable error = assertInstanceOf(JacquardException.class, output.end().error());
      assertTrue(error.toString().contains("token 17 is NaN"), error::toString);

      GenerationStream again = session.generate(greedy(10));
      finish(model);
      assertEquals(alone("llama", OPTIONS, greedy(10, prompt)).ids(), read(again).ids());
    }
  }

  @Test
  void closingTheModelEndsWhatRuns() {
    Model model = byHand("llama", OPTIONS, backend);
    Session session = model.newSession();
    GenerationStream running = session.generate(greedy(100, ids("llama", 5)));
    model.engine().doWork();
    GenerationStream waiting = model.newSession().generate(greedy(100, ids("llama", 5)));
    model.close();
    assertEquals(FinishReason.CANCELLED, read(running).reason());
    assertEquals(FinishReason.CANCELLED, read(waiting).reason());
    assertTrue(backend.closed);
    model.close();
    session.close();
    assertThrows(IllegalStateException.class, model::newSession);
    assertThrows(IllegalStateException.class, () -> session.generate(greedy(1, 5)));
    assertThrows(IllegalStateException.class, () -> session.rewind(0));
  }

  @Test
  void aTokenAllocatesLittleBesideTheBackend() {
    try (Model model = byHand("llama", OPTIONS, backend)) {
      Session session = model.newSession();
      GenerationStream warmUp = session.generate(greedy(50, ids("llama", 10)));
      finish(model);
      read(warmUp);
      GenerationStream stream = session.generate(greedy(50));
      model.engine().doWork();
      long backendBefore = backend.allocated;
      long before = WatchedBackend.allocatedByThread();
      finish(model);
      long all = WatchedBackend.allocatedByThread() - before;
      long perToken = (all - (backend.allocated - backendBefore)) / 49;
      assertTrue(perToken < 2048, () -> perToken + " bytes");
      assertEquals(50, read(stream).ids().size());
    }
  }

  @Test
  void countsWhatATokenReads() {
    try (Model model = byHand("llama", OPTIONS, backend)) {
      GenerationStream stream = model.newSession().generate(greedy(5, ids("llama", 10)));
      finish(model);
      Output output = read(stream);
      GenerationStatistics statistics = output.end().statistics();
      assertNull(output.end().error());
      assertEquals(10, statistics.prefill().tokens());
      assertEquals(4, statistics.decode().tokens());
      assertTrue(statistics.prefill().seconds() > 0);
      assertTrue(statistics.decode().seconds() > 0);
      // Four tokens at positions 10 to 13 see 11 to 14 tokens: 12.5 in the mean.
      long kvBytes = model.program().kv().readBytes(0, KvFormat.F32) * 25 / 2;
      assertEquals(model.stepCost().weightBytes() + kvBytes, statistics.bytesPerToken());
      assertFalse(stream.hasNext());
    }
  }
}
