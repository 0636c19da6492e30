package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code jacquard evaluate quality} on the bundled model. */
class EvaluateQualityCommandTest {
  @TempDir private Path folder = Path.of("");

  private Outcome evaluate(String... more) {
    List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of("evaluate", "quality", "-m", TestData.bundledModel().toString()));
    arguments.addAll(List.of(more));
    return Outcome.of(arguments.toArray(new String[0]));
  }

  private static String text() {
    return TestData.project().resolve("kernels/core/src/main").toString();
  }

  private Path quantised(String type) {
    Path out = folder.resolve(type + ".gguf");
    Outcome outcome =
        Outcome.of(
            "quantize",
            TestData.bundledModel().toString(),
            out.toString(),
            "--requantize",
            "--type",
            type);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    return out;
  }

  @Test
  void variantsAreComparedWithTheModel() throws Exception {
    Path json = folder.resolve("q.json");
    Path html = folder.resolve("q.html");
    Outcome outcome =
        evaluate(
            text(),
            "--windows",
            "4",
            "--variant",
            "model=" + quantised("Q4_0"),
            "--variant",
            "attention=budgeted:0.8",
            "--variant",
            "attention=certified:0.01",
            "--variant",
            "ffn=prompt:0.25",
            "--tasks",
            "needle",
            "--task-tokens",
            "512",
            "--seeds",
            "1",
            "--json",
            json.toString(),
            "--html",
            html.toString());
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode variants = new ObjectMapper().readTree(json.toFile()).get("variants");
    assertEquals(5, variants.size());
    JsonNode self = variants.get(0);
    assertEquals(4 * 255, self.get("quality").get("positions").asInt());
    assertEquals(1, self.get("quality").get("factor").asDouble(), 1e-4);
    assertEquals(0, self.get("quality").get("kl_mean").asDouble(), 1e-5);
    assertTrue(self.get("quality").get("top1").asDouble() > 0.99);
    JsonNode four = variants.get(1);
    assertTrue(four.get("quality").get("kl_mean").asDouble() > 1e-3);
    assertTrue(four.get("file_bytes").asLong() < self.get("file_bytes").asLong());
    assertTrue(four.get("bytes_per_token").asLong() < self.get("bytes_per_token").asLong());
    assertTrue(four.get("pareto_front").asBoolean(), "the fewest bytes");
    JsonNode budgeted = variants.get(2);
    JsonNode certified = variants.get(3);
    assertTrue(
        budgeted.get("bytes_per_token").asLong() < certified.get("bytes_per_token").asLong(),
        "budgeted reads less than certified");
    double kl = budgeted.get("quality").get("kl_mean").asDouble();
    assertTrue(kl > 1e-6 && kl < 0.1, "budgeted reads a part: " + kl);
    JsonNode pruned = variants.get(4);
    assertTrue(
        pruned.get("bytes_per_token").asLong() < 0.95 * self.get("bytes_per_token").asLong());
    assertTrue(pruned.get("quality").get("kl_mean").asDouble() > 1e-4);
    for (JsonNode variant : variants) {
      assertEquals(5, variant.get("tasks").get(0).get("questions").asInt());
    }
    DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new org.xml.sax.InputSource(new java.io.StringReader(withoutDoctype(html))));
    assertTrue(Files.readString(html).contains("Pareto front"));
  }

  private static String withoutDoctype(Path html) throws IOException {
    return Files.readString(html).replace("<!DOCTYPE html>", "");
  }

  @Test
  void theBaseIsKeptAndUsedAgain() throws IOException {
    Path base = folder.resolve("base.bin");
    Outcome first = evaluate(text(), "--windows", "2", "--base", base.toString());
    assertEquals(ExitCode.OK, first.code(), first.err());
    byte[] written = Files.readAllBytes(base);
    Outcome second = evaluate(text(), "--windows", "2", "--base", base.toString());
    assertEquals(first.out(), second.out());
    assertEquals(written.length, Files.size(base));
    Files.write(base, java.util.Arrays.copyOf(written, written.length - 1));
    Outcome broken = evaluate(text(), "--base", base.toString());
    assertEquals(ExitCode.FAILED, broken.code());
    assertTrue(broken.err().contains("not completed"), broken.err());
  }

  @Test
  void wrongVariantsAndTextsAreRefused() throws IOException {
    Outcome unknown = evaluate(text(), "--variant", "speed=2");
    assertEquals(ExitCode.USAGE, unknown.code());
    assertTrue(unknown.err().contains("none of model=FILE"), unknown.err());
    Outcome badClass = evaluate(text(), "--variant", "attention=some");
    assertEquals(ExitCode.USAGE, badClass.code());
    Outcome task = evaluate(text(), "--tasks", "juggling");
    assertEquals(ExitCode.USAGE, task.code());
    assertTrue(task.err().contains("needle"), task.err());
    Path little = Files.writeString(folder.resolve("A.java"), "class A {}\n");
    Outcome shortText = evaluate(little.toString());
    assertEquals(ExitCode.FAILED, shortText.code());
    assertTrue(shortText.err().contains("fills no window"), shortText.err());
    Outcome missing = evaluate(text(), "--windows", "1", "--variant", "model=none.gguf");
    assertEquals(ExitCode.FAILED, missing.code());
    assertTrue(missing.err().contains("none.gguf"), missing.err());
    assertFalse(missing.err().contains("Exception"), missing.err());
  }
}
