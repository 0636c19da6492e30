package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluationCommandsTest {
  private static final String IDS = TestData.resource("reference/java-7m.tokens.txt").toString();
  private static final String REFERENCE =
      TestData.resource("reference/java-7m.Q8_0.logits.bin").toString();

  @TempDir private Path folder = Path.of("");

  private String file(String name) {
    return folder.resolve(name).toString();
  }

  @Test
  void logitsOfTheReferenceIdsAreCloseToTheReference() throws IOException {
    Outcome written =
        Outcome.of("evaluate", "logits", "--ids", IDS, "--top", "0", "-o", file("all.bin"));
    assertEquals(ExitCode.OK, written.code(), written.err());
    assertEquals("", written.out());

    String[] compare = {"evaluate", "kl", REFERENCE, file("all.bin"), "--json", "--max-kl", "1e-3"};
    Outcome outcome = Outcome.of(compare);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode kl = new ObjectMapper().readTree(outcome.out());
    assertEquals(160, kl.get("positions").asInt());
    assertTrue(kl.get("mean").asDouble() < 1e-3, outcome.out());
    assertTrue(kl.get("percentile99").asDouble() <= kl.get("max").asDouble(), outcome.out());
    assertTrue(kl.get("top_agreement").asDouble() > 0.97, outcome.out());

    compare[6] = "0";
    Outcome strict = Outcome.of(compare);
    assertEquals(ExitCode.THRESHOLD, strict.code());
    assertTrue(strict.err().contains("--max-kl"), strict.err());
  }

  @Test
  void theFirstPositionsAndTheBestLogitsWillDo() throws IOException {
    String text = TestData.resource("reference/text-java.txt").toString();
    Outcome written =
        Outcome.of("evaluate", "logits", "-f", text, "-n", "5", "-o", file("cut.bin"));
    assertEquals(ExitCode.OK, written.code(), written.err());
    assertEquals(16 + 5 * (4 + 256 * 8), Files.size(folder.resolve("cut.bin")));
    Outcome same = Outcome.of("evaluate", "kl", file("cut.bin"), file("cut.bin"));
    assertTrue(same.out().matches("(?s).*positions +5\n.*"), same.out());
    assertTrue(same.out().matches("(?s).*top-1 agreement +100.00 %\n.*"), same.out());
  }

  @Test
  void theLastPositionsAreDecodedOneByOne() throws IOException {
    String text = TestData.resource("reference/text-java.txt").toString();
    List<String> common =
        List.of("evaluate", "logits", "-f", text, "-n", "24", "--top", "0", "--kv", "q8");
    Outcome all = run(common, "-o", file("whole.bin"));
    assertEquals(ExitCode.OK, all.code(), all.err());
    Outcome last = run(common, "--last", "4", "-o", file("last.bin"));
    assertEquals(ExitCode.OK, last.code(), last.err());
    assertTrue(last.err().contains("logits of 4 positions"), last.err());
    byte[] whole = Files.readAllBytes(folder.resolve("whole.bin"));
    byte[] rest = Files.readAllBytes(folder.resolve("last.bin"));
    int row = 4 * (1 + 4096);
    assertEquals(16 + 4 * row, rest.length);
    assertArrayEquals(
        Arrays.copyOfRange(whole, 16 + 20 * row, whole.length),
        Arrays.copyOfRange(rest, 16, rest.length),
        "dense decoding gives the bits of dense prefill");
    Outcome certified = run(common, "--last", "4", "--attention", "certified", "-o", file("c.bin"));
    assertEquals(ExitCode.OK, certified.code(), certified.err());
    Outcome pruned = run(common, "--last", "4", "--ffn", "prompt:0.5", "-o", file("p.bin"));
    assertEquals(ExitCode.OK, pruned.code(), pruned.err());
    assertTrue(pruned.err().contains("perplexity "), pruned.err());
    assertTrue(Files.mismatch(folder.resolve("last.bin"), folder.resolve("p.bin")) >= 16);
    Outcome whole24 = run(common, "--ffn", "prompt:0.5", "-o", file("p.bin"));
    assertEquals(ExitCode.USAGE, whole24.code());
    assertTrue(whole24.err().contains("--last"), whole24.err());
    Outcome more = run(common, "--last", "25", "-o", file("more.bin"));
    assertEquals(ExitCode.FAILED, more.code());
    assertTrue(more.err().contains("--last 25 is more than the 24 tokens"), more.err());
  }

  private static Outcome run(List<String> common, String... more) {
    List<String> all = new ArrayList<>(common);
    all.addAll(List.of(more));
    all.addAll(List.of("--backend", "reference"));
    return Outcome.of(all.toArray(String[]::new));
  }

  @Test
  void idsThatAreNoTokensAreNamedWithTheirLine() throws IOException {
    Path ids = Files.writeString(folder.resolve("ids"), "1\n\n4096\n");
    Outcome outcome =
        Outcome.of("evaluate", "logits", "--ids", ids.toString(), "-o", file("x.bin"));
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("line 3: expected a token id from 0 to 4095"), outcome.err());
    assertFalse(Files.exists(folder.resolve("x.bin")));
  }

  @Test
  void filesThatAreNoLogitsAreRefused() {
    Outcome outcome = Outcome.of("evaluate", "kl", IDS, REFERENCE);
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("java-7m.tokens.txt"), outcome.err());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
  }

  @Test
  void perplexityOfAText() throws IOException {
    String text = TestData.resource("reference/text-java.txt").toString();
    Outcome outcome = Outcome.of("perplexity", "-f", text, "-c", "64", "--json");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode result = new ObjectMapper().readTree(outcome.out());
    assertTrue(result.get("perplexity").asDouble() > 1, outcome.out());
    assertTrue(result.get("perplexity").asDouble() < 100, outcome.out());
    assertTrue(result.get("uncertainty").asDouble() > 0, outcome.out());
    assertEquals(0, result.get("tokens").asInt() % 31);
    Outcome line = Outcome.of("perplexity", "-f", text, "-c", "64");
    assertTrue(
        line.out().matches("perplexity [0-9.]+ ± [0-9.]+ \\([0-9]+ tokens scored\\)\n"),
        line.out());
  }

  @Test
  void aTextThatFillsNoWindowIsRefused() throws IOException {
    Path text = Files.writeString(folder.resolve("short"), "int x = 1;\n");
    Outcome outcome = Outcome.of("perplexity", "-f", text.toString());
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("fills no window of 512"), outcome.err());
  }
}
