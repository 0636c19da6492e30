package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.calibration.CalibrationText;
import dev.jacquard.testing.TestData;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.xml.sax.SAXException;

class EvaluateAttentionCommandTest {
  private static final String SOURCES =
      TestData.project().resolve("quantization/src/main/java").toString();

  @TempDir private Path folder = Path.of("");

  private Outcome run(String... more) {
    List<String> args = new ArrayList<>(List.of("evaluate", "attention", SOURCES, "--last", "6"));
    args.addAll(List.of("--lengths", "192,256", "--greedy", "4", "--seeds", "1"));
    args.addAll(List.of(more));
    return Outcome.of(args.toArray(String[]::new));
  }

  @Test
  void writesNumbersAndOnePageThatLoadsNothing()
      throws IOException, ParserConfigurationException, SAXException {
    Path json = folder.resolve("attention.json");
    Path html = folder.resolve("attention.html");
    Outcome outcome =
        run(
            "--tasks",
            "needle",
            "--methods",
            "certified:0.05 budgeted:0.8 window oracle",
            "--prompts",
            "0.95",
            "--shares",
            "0.4",
            "--json",
            json.toString(),
            "--html",
            html.toString());
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(outcome.out().contains("oracle:0.400"), outcome.out());

    JsonNode results = new ObjectMapper().readTree(json.toFile());
    assertEquals("java-7m.Q8_0.gguf", results.get("model").asText());
    assertEquals(CalibrationText.SOURCE, results.get("basis_text").asText());
    double seen = results.get("seen").asDouble();
    assertTrue(seen >= 0 && seen <= 1, "share of known lines " + seen);
    assertEquals(seen > 0.01, outcome.err().contains("not held out"), outcome.err());
    assertEquals(2, results.get("lengths").size());
    JsonNode longest = results.get("lengths").get(1);
    assertEquals(256, longest.get("tokens").asInt());
    assertEquals(6, longest.get("positions").asInt());
    assertEquals(
        8, longest.get("methods").size(), "baselines at the bytes of BUDGETED, and at 0.4");
    for (JsonNode method : longest.get("methods")) {
      for (String key :
          List.of(
              "bytes",
              "kl_mean",
              "kl95",
              "kl_max",
              "top1",
              "top5",
              "perplexity",
              "mass_recall",
              "error_mean",
              "error_worst",
              "bound_mean",
              "bound_worst")) {
        assertTrue(Double.isFinite(method.get(key).asDouble(Double.NaN)), key + " of " + method);
      }
    }
    assertEquals(0, longest.get("methods").get(1).get("violations").asInt());
    assertTrue(longest.get("sparsity").get(0).get("tokens99").asDouble() >= 1);
    assertEquals("needle", results.get("tasks").get(0).get("task").asText());

    String page = Files.readString(html);
    Document parsed =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new ByteArrayInputStream(page.getBytes(StandardCharsets.UTF_8)));
    assertTrue(parsed.getElementsByTagName("svg").getLength() >= 4, "plots");
    assertTrue(parsed.getElementsByTagName("table").getLength() >= 3, "tables");
    assertEquals(0, parsed.getElementsByTagName("script").getLength());
    String withoutNames = page.replace("http://www.w3.org/2000/svg", "");
    for (String reference : List.of("http:", "https:", "src=", "href=", "url(", "@import")) {
      assertFalse(withoutNames.contains(reference), reference);
    }
  }

  @Test
  void recordsHeadsForBenchmarks() throws IOException {
    Path file = folder.resolve("heads.trace");
    Outcome outcome = run("--record", file.toString());
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(Files.size(file) > 100_000);
    assertTrue(outcome.err().contains("256 tokens, queries of the last 6"), outcome.err());
  }

  @Test
  void wrongNamesAndNumbersAreExplained() {
    assertRefused(
        "there is no method 'qest'; baselines are window, quest", run("--methods", "qest"));
    assertRefused("above 0 and below 1", run("--methods", "certified:2"));
    assertRefused("there is no task 'neddle'", run("--tasks", "neddle"));
    assertRefused("within the model's context (1024)", run("--lengths", "2048"));
    assertRefused(
        "there are no program sources",
        Outcome.of("evaluate", "attention", folder.toString(), "--last", "6"));
  }

  private static void assertRefused(String expected, Outcome outcome) {
    assertEquals(ExitCode.FAILED, outcome.code(), outcome.err());
    assertTrue(outcome.err().contains(expected), outcome.err());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
  }
}
