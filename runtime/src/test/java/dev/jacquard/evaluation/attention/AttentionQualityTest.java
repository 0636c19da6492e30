package dev.jacquard.evaluation.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.evaluation.attention.AttentionResults.OfLength;
import dev.jacquard.evaluation.attention.AttentionResults.OfMethod;
import dev.jacquard.evaluation.attention.AttentionResults.OfTask;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.testing.TestData;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@SuppressWarnings("NullAway.Init")
class AttentionQualityTest {
  private static final int TOKENS = 320;
  private static final int LAST = 12;

  private AttentionLab lab;
  private int[] text;
  private OfLength result;

  @BeforeAll
  void measure() throws IOException {
    lab = AttentionLab.open(TestData.bundledModel(), "reference", 2, 64, KvFormat.Q8, _ -> {});
    String sources = Files.readString(TestData.resource("reference/text-java.txt")).repeat(3);
    text = lab.tokenizer().encode(sources, Tokenizer.Options.DEFAULT);
    var settings =
        new AttentionQuality.Settings(
            LAST,
            List.of(new Exactness.Certified(0.05)),
            List.of(0.9),
            List.of(Baseline.values()),
            List.of(0.3, 0.999),
            2,
            6);
    result =
        new AttentionQuality(lab, settings, (_, share) -> assertTrue(share > 0 && share <= 1))
            .measure(text, new int[] {TOKENS})
            .getFirst();
  }

  @AfterAll
  void close() {
    lab.close();
  }

  private OfMethod method(String name) {
    return result.methods().stream().filter(m -> m.method().equals(name)).findFirst().orElseThrow();
  }

  @Test
  void denseIsItself() {
    OfMethod dense = method("dense");
    assertEquals(1, dense.bytes(), 1e-12);
    assertEquals(0, dense.klMax());
    assertEquals(1, dense.top1());
    assertEquals(1, dense.top5());
    assertTrue(dense.perplexity() > 1 && dense.perplexity() < 1000);
  }

  @Test
  void baselinesReadWhatTheyMayAndReadingAllIsDense() {
    for (Baseline baseline : Baseline.values()) {
      String name = baseline.name().toLowerCase(Locale.ROOT);
      OfMethod some = method(name + ":0.300");
      assertTrue(some.bytes() <= 0.301 && some.bytes() > 0.2, name + " read " + some.bytes());
      assertTrue(some.massRecall() > 0 && some.massRecall() < 1, name);
      assertTrue(some.klMean() > 0, name);
      OfMethod most = method(name + ":0.999");
      assertTrue(most.klMean() < some.klMean(), name);
      assertTrue(most.massRecall() > some.massRecall(), name);
    }
    assertTrue(method("oracle:0.300").massRecall() > method("quest:0.300").massRecall());
    assertTrue(method("oracle:0.300").massRecall() > method("random:0.300").massRecall());
    assertTrue(method("oracle:0.300").klMean() < method("random:0.300").klMean());
  }

  @Test
  void certifiedKeepsItsPromise() {
    OfMethod certified = method("certified:0.05");
    assertEquals(0, certified.violations());
    assertEquals(
        LAST / 2 * result.sparsity().size(), certified.examined(), "all heads of half the steps");
    assertTrue(certified.boundWorst() <= 0.05, "" + certified.boundWorst());
    assertTrue(certified.errorWorst() <= 0.05, "" + certified.errorWorst());
    assertTrue(certified.klMean() < 0.01, "" + certified.klMean());
    assertEquals(6, certified.greedyTokens());
  }

  @Test
  void shortPromptsAreReadWhole() {
    OfMethod prompt = method("prompt:0.9");
    assertEquals(1, prompt.bytes(), 1e-12);
    assertEquals(0, prompt.klMax(), 1e-9);
    assertEquals(1, prompt.top1());
    assertThrows(IllegalArgumentException.class, () -> new AttentionMethod.OfPrompt(1));
  }

  @Test
  void sparsityCountsTokensOfEachHead() {
    for (var s : result.sparsity()) {
      assertTrue(s.tokens50() >= 1 && s.tokens50() <= s.tokens90());
      assertTrue(s.tokens90() <= s.tokens95() && s.tokens95() <= s.tokens99());
      assertTrue(s.tokens99() <= TOKENS);
    }
  }

  @Test
  void lengthsThatDoNotFitAreRefused() {
    var settings =
        new AttentionQuality.Settings(4, List.of(), List.of(), List.of(), List.of(), 1, 0);
    var quality = new AttentionQuality(lab, settings, (_, _) -> {});
    assertThrows(IllegalArgumentException.class, () -> quality.measure(text, new int[] {4}));
    int[] tooLong = {text.length + 1};
    assertThrows(IllegalArgumentException.class, () -> quality.measure(text, tooLong));
  }

  @Test
  void tasksGiveAccuraciesOfEachMethod() {
    var settings =
        new AttentionTasks.Settings(
            List.of(CodeTask.NEEDLE, CodeTask.IMPORT),
            List.of(
                new AttentionMethod.OfClass(new Exactness.Certified(0.01)),
                new AttentionMethod.OfBaseline(Baseline.ORACLE, 0.999)),
            List.of(0.2, 0.8),
            1);
    List<OfTask> tasks = new AttentionTasks(lab, settings, (_, _) -> {}).ask(text, 256);
    assertEquals(List.of("needle", "import"), tasks.stream().map(OfTask::task).toList());
    for (OfTask task : tasks) {
      assertEquals(2, task.cases());
      assertEquals(0.25, task.chance());
      assertEquals(3, task.methods().size());
      double dense = task.methods().getFirst().choice();
      assertEquals(task.counts(), dense >= 0.625);
      assertTrue(Arrays.asList(0.0, 0.5, 1.0).contains(dense));
    }
    assertEquals(6, tasks.getFirst().grid().size());
    assertTrue(tasks.get(1).grid().isEmpty());
  }
}
