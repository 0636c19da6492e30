package dev.jacquard.session;

import static dev.jacquard.session.TestModels.OPTIONS;
import static dev.jacquard.session.TestModels.byHand;
import static dev.jacquard.session.TestModels.finish;
import static dev.jacquard.session.TestModels.greedy;
import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.session.AttentionStatistics.Reading;
import dev.jacquard.session.TestModels.Output;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Classes of exactness, from a request to the step and back. */
@Timeout(60)
final class AttentionTest {
  private static final ModelOptions Q8 = OPTIONS.withKvFormat(KvFormat.Q8).withContext(640);

  /** More than the 16 first and 128 last tokens that are always read. */
  private static final int LONG = 400;

  private static AttentionPolicy policy(String text) {
    return AttentionPolicy.parse(text, 0);
  }

  private static int[] randomIds(Model model, int count) {
    return new Random(5).ints(count, 0, model.vocabulary()).toArray();
  }

  /** Sketches of the signs of keys: as good as any to see what is read. */
  private static void sketch(Model model) {
    KvStorage storage = model.engine().cache().storage();
    List<KvSpec.Layer> layers = storage.spec().layers();
    for (int l = 0; l < layers.size(); l++) {
      if (layers.get(l).window() == 0) {
        storage.sketch(l, Collections.nCopies(layers.get(l).heads(), signs(layers.get(l))));
      }
    }
  }

  private static SketchBasis signs(KvSpec.Layer layer) {
    int size = layer.keySize();
    int channels = Math.min(size, QuantizedKv.sketchBits(size));
    float[] identity = new float[channels * size];
    for (int c = 0; c < channels; c++) {
      identity[c * size + c] = 1;
    }
    byte[] bits = new byte[channels];
    Arrays.fill(bits, (byte) 1);
    float[] steps = new float[channels];
    Arrays.fill(steps, 1);
    return new SketchBasis(new float[size], identity, identity, bits, steps, 1);
  }

  private static Output run(Model model, Session session, GenerationRequest request) {
    GenerationStream stream = session.generate(request);
    finish(model);
    return read(stream);
  }

  private static AttentionStatistics attention(Output output) {
    return output.end().statistics().attention();
  }

  private static int[] of(Output output) {
    return output.ids().stream().mapToInt(Integer::intValue).toArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "gemma3"})
  void aCertifiedGenerationTellsItsCertificate(String name) {
    try (Model model = byHand(name, Q8)) {
      Session session = model.newSession(policy("certified:0.1"));
      Output output = run(model, session, greedy(5, randomIds(model, LONG)));
      assertEquals(FinishReason.LENGTH, output.reason());
      AttentionStatistics attention = attention(output);
      assertEquals("certified:0.1", attention.policy());
      assertEquals(LONG, attention.prefill().tokens());
      assertEquals(1, attention.prefill().share(), "prompts are read whole");
      Reading decode = attention.decode();
      assertEquals(4, decode.tokens());
      assertTrue(decode.cases() > 0);
      assertTrue(decode.certificateWorst() > 0 && decode.certificateWorst() <= 0.1);
      assertTrue(decode.certificateMean() <= decode.certificateWorst());
      assertTrue(decode.coarse() + decode.far() > 0);
      assertEquals(0, attention.redone());
    }
  }

  @Test
  void budgetedReadsLessAndTheCostOfATokenSaysSo() {
    try (Model model = byHand("llama", Q8)) {
      sketch(model);
      int[] prompt = randomIds(model, LONG);
      Output dense = run(model, model.newSession(), greedy(4, prompt));
      Output budgeted = run(model, model.newSession(policy("budgeted:0.5")), greedy(4, prompt));
      Reading decode = attention(budgeted).decode();
      assertEquals(1, attention(dense).decode().share());
      assertTrue(decode.share() < 1);
      assertTrue(decode.far() > 0);
      assertEquals(0, decode.cases());
      assertEquals(attention(dense).decode().bytesDense(), decode.bytesDense());
      long spared =
          dense.end().statistics().bytesPerToken() - budgeted.end().statistics().bytesPerToken();
      assertEquals((decode.bytesDense() - decode.bytesRead()) / 3.0, (double) spared, 1);
    }
  }

  @Test
  void verifiedTellsWhatItsAuditFound() {
    try (Model model = byHand("llama", Q8)) {
      sketch(model);
      Session session = model.newSession(policy("verified:0.001,0.01"));
      Reading decode = attention(run(model, session, greedy(3, randomIds(model, LONG)))).decode();
      assertTrue(decode.cases() > 0);
      assertTrue(decode.escalated() <= decode.cases());
      assertTrue(decode.escalated() > 0 || decode.certificateWorst() <= 0.001);
    }
  }

  @Test
  void shortSequencesAreDenseToTheLastBit() {
    try (Model model = byHand("llama", Q8)) {
      sketch(model);
      int[] prompt = randomIds(model, LONG);
      Output dense = run(model, model.newSession(), greedy(4, prompt));
      AttentionPolicy late = AttentionPolicy.parse("budgeted:0.1", AttentionPolicy.DENSE_BELOW);
      Output budgeted = run(model, model.newSession(late), greedy(4, prompt));
      assertEquals(dense.ids(), budgeted.ids());
      assertEquals(1, attention(budgeted).decode().share());
      AttentionPolicy now = AttentionPolicy.parse("budgeted:0.1", LONG + 2);
      Reading part = attention(run(model, model.newSession(now), greedy(4, prompt))).decode();
      assertTrue(part.share() < 1 && part.far() > 0, "the last two of three tokens");
    }
  }

  @Test
  void aRequestMayHaveAnotherPolicyThanItsSession() {
    try (Model model = byHand("llama", Q8)) {
      Session session = model.newSession(policy("certified:0.1"));
      GenerationRequest request = greedy(3, randomIds(model, 40));
      Output dense = run(model, session, request.withAttention(AttentionPolicy.DENSE));
      assertEquals("dense", attention(dense).policy());
      assertEquals(0, attention(dense).decode().cases());
      Output own = run(model, session, greedy(3));
      assertEquals("certified:0.1", attention(own).policy());
      assertTrue(attention(own).decode().cases() > 0);
    }
  }

  @Test
  void anUnclearStepIsDoneAgainOneClassStricter() {
    WatchedBackend backend = new WatchedBackend(TestModels.reference());
    try (Model model = byHand("llama", Q8, backend)) {
      int[] prompt = randomIds(model, 60);
      Output dense = run(model, model.newSession(), greedy(8, prompt));
      Session session = model.newSession(policy("certified:0.9"));
      backend.steps.clear();
      Output guarded = run(model, session, greedy(8, prompt).withMargin(1e9));
      assertEquals(dense.ids(), guarded.ids(), "every step was done again, and densely");
      assertEquals(7, attention(guarded).redone());
      assertEquals(14, attention(guarded).decode().tokens());
      assertEquals(7, guarded.end().statistics().decode().tokens());
      assertEquals(1 + 14, backend.steps.size());
      assertEquals(backend.steps.get(1), backend.steps.get(2));
      Output clear = run(model, session, greedy(5, of(guarded)).withMargin(1e-9));
      assertEquals(0, attention(clear).redone());
      Output exact = run(model, model.newSession(), greedy(5, prompt).withMargin(1e9));
      assertEquals(0, attention(exact).redone(), "there is nothing stricter than dense");
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1, Double.NaN, Double.POSITIVE_INFINITY})
  void aMarginIsANumber(double margin) {
    assertThrows(IllegalArgumentException.class, () -> greedy(1, 1).withMargin(margin));
  }

  @Test
  void otherFormatsOfTheCacheAreRefusedWithTheWayOut() {
    try (Model model = byHand("llama", OPTIONS.withKvFormat(KvFormat.F16))) {
      AttentionPolicy certified = policy("certified");
      Session session = model.newSession();
      for (IllegalArgumentException e :
          List.of(
              assertThrows(IllegalArgumentException.class, () -> model.newSession(certified)),
              assertThrows(
                  IllegalArgumentException.class,
                  () -> session.generate(greedy(1, 5).withAttention(certified))),
              assertThrows(
                  IllegalArgumentException.class,
                  () -> session.evaluate(new int[] {5}, 0, (_, _) -> {}, certified)))) {
        String message = String.valueOf(e.getMessage());
        assertTrue(message.contains("certified:0.01"), message);
        assertTrue(message.contains("F16"), message);
        assertTrue(message.contains("--kv q8"), message);
      }
      assertEquals(1, run(model, session, greedy(1, 5)).ids().size(), "the session is free");
    }
  }

  @Test
  void withoutSketchesItIsDenseAndSaidOnce() {
    List<String> said = new ArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord log) {
            said.add(log.getMessage());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger(Engine.class.getName());
    logger.addHandler(handler);
    try (Model model = byHand("llama", Q8)) {
      int[] prompt = randomIds(model, LONG);
      Output dense = run(model, model.newSession(), greedy(3, prompt));
      assertEquals(List.of(), said);
      Output budgeted = run(model, model.newSession(policy("budgeted:0.1")), greedy(3, prompt));
      run(model, model.newSession(policy("verified")), greedy(3, prompt));
      assertEquals(dense.ids(), budgeted.ids());
      assertEquals(1, attention(budgeted).decode().share());
      assertEquals(1, said.size(), said.toString());
      assertTrue(said.get(0).contains("jacquard calibrate"), said.toString());
    } finally {
      logger.removeHandler(handler);
    }
  }

  @Test
  void aFlightRecordingHoldsTheSameNumbers(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("attention.jfr");
    Reading decode;
    try (Model model = byHand("llama", Q8);
        Recording recording = new Recording()) {
      recording.start();
      Session session = model.newSession(policy("certified:0.1"));
      decode = attention(run(model, session, greedy(4, randomIds(model, 50)))).decode();
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events =
        RecordingFile.readAllEvents(file).stream()
            .filter(e -> e.getEventType().getName().equals(AttentionEvent.NAME))
            .toList();
    assertEquals(List.of(0, 50, 51, 52), events.stream().map(e -> e.getInt("position")).toList());
    assertEquals(50, events.get(0).getInt("rows"));
    List<RecordedEvent> steps = events.subList(1, 4);
    assertEquals("certified:0.1", steps.get(0).getString("exactness"));
    assertEquals(decode.bytesRead(), sum(steps, "bytesRead"));
    assertEquals(decode.bytesDense(), sum(steps, "bytesDense"));
    assertEquals(decode.fine(), sum(steps, "fine"));
    assertEquals(decode.coarse(), sum(steps, "coarse"));
    assertEquals(decode.far(), sum(steps, "far"));
    assertEquals(decode.cases(), sum(steps, "cases"));
    assertEquals(
        decode.certificateWorst(),
        steps.stream().mapToDouble(e -> e.getDouble("certificateWorst")).max().orElseThrow());
    assertEquals(
        decode.certificateMean(),
        steps.stream().mapToDouble(e -> e.getDouble("certificateMean")).average().orElseThrow(),
        1e-12);
  }

  private static long sum(List<RecordedEvent> events, String field) {
    return events.stream().mapToLong(e -> e.getLong(field)).sum();
  }

  /** Remembers which pages steps see. */
  private static final class Seen implements AttentionPolicy {
    final List<String> pages = new ArrayList<>();

    @Override
    public Exactness exactness(int length) {
      return Exactness.DENSE;
    }

    @Override
    public void select(KvView live, int window, int firstPosition, KvView selected) {
      AttentionPolicy.super.select(live, window, firstPosition, selected);
      pages.clear();
      for (int i = 0; i < selected.size(); i++) {
        String page = selected.firstPosition(i) + "+" + selected.length(i);
        pages.add(selected.pinned(i) ? page + " pinned" : page);
      }
    }
  }

  @Test
  void pagesBeginWhereFilesDoAndPinsStay() {
    try (Model model = TestModels.open("llama", Q8)) {
      Seen seen = new Seen();
      Session session = model.newSession(seen);
      session.evaluate(randomIds(model, 20), 0, (_, _) -> {});
      session.startPage();
      session.pin(3, 4);
      session.evaluate(randomIds(model, 20), 0, (_, _) -> {});
      List<String> pages = List.of("0+16 pinned", "16+4", "20+16", "36+4");
      assertEquals(pages, seen.pages);
      session.pin(25, 40);
      session.rewind(39);
      session.evaluate(new int[] {1}, 0, (_, _) -> {});
      assertEquals(List.of("0+16 pinned", "16+4", "20+16 pinned", "36+4 pinned"), seen.pages);
      Session fork = session.fork();
      session.rewind(20);
      session.evaluate(new int[] {1, 2}, 0, (_, _) -> {});
      assertEquals(List.of("0+16 pinned", "16+4", "20+2"), seen.pages);
      session.rewind(19);
      session.evaluate(new int[] {1, 2}, 0, (_, _) -> {});
      assertEquals(List.of("0+16 pinned", "16+5"), seen.pages);
      fork.evaluate(new int[] {1}, 0, (_, _) -> {});
      assertEquals(List.of("0+16 pinned", "16+4", "20+16 pinned", "36+5 pinned"), seen.pages);
      assertThrows(IllegalArgumentException.class, () -> session.pin(-1, 3));
      assertThrows(IllegalArgumentException.class, () -> session.pin(3, 2));
      assertThrows(IllegalArgumentException.class, () -> session.pin(3, 22));
    }
  }
}
