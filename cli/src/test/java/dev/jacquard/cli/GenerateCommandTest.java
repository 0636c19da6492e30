package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.testing.NanScale;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerateCommandTest {
  private static final String PROMPT = "public static int gcd(int a, int b) {";

  private static Outcome generate(String... arguments) {
    List<String> all = new ArrayList<>(List.of("generate", "--temp", "0"));
    all.addAll(List.of(arguments));
    return Outcome.of(all.toArray(String[]::new));
  }

  @Test
  void textGoesToStandardOutputAndOneLineToStandardError() {
    Outcome outcome = generate("-n", "8", "--price-per-hour", "0.5", PROMPT);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertFalse(outcome.out().contains("gcd"), outcome.out());
    assertFalse(outcome.out().isBlank());
    assertTrue(
        outcome
            .err()
            .matches(
                "\\d+ \\+ 8 tokens \\| prefill [0-9.]+ tok/s \\| decode [0-9.]+ tok/s"
                    + " \\| [0-9.]+ MB/token \\| [0-9.]+ machine-hours per million tokens"
                    + " \\([0-9.]+ at 0.50?/h\\) \\| length\n"),
        outcome.err());
  }

  @Test
  void aShareOfTheNeuronsIsLeftOut() throws IOException {
    String text = Files.readString(TestData.resource("reference/text-java.txt")).substring(0, 1200);
    Outcome outcome = generate("-n", "6", "--ffn", "prompt:0.5", "--json", "--stats", text);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode ffn = new ObjectMapper().readTree(outcome.out()).get("ffn");
    assertEquals("prompt:0.5", ffn.get("class").asText());
    double neurons = ffn.get("neuron_share").asDouble();
    assertTrue(neurons >= 0.5 && neurons < 0.75, ffn.toString());
    double bytes = ffn.get("bytes_share").asDouble();
    assertTrue(bytes > 0.4 && bytes < 0.9, ffn.toString());
    assertTrue(outcome.err().contains("ffn prompt:0.5: "), outcome.err());
    JsonNode dense = new ObjectMapper().readTree(generate("-n", "2", "--json", "x").out());
    assertEquals("dense", dense.get("ffn").get("class").asText());
    assertEquals(1, dense.get("ffn").get("bytes_share").asDouble());
  }

  @Test
  void aShareThatIsNoneIsRefused() {
    for (String share : List.of("prompt:1", "prompt:-0.5", "prompt:x", "half")) {
      Outcome outcome = generate("-n", "1", "--ffn", share, PROMPT);
      assertEquals(ExitCode.USAGE, outcome.code(), outcome.err());
      assertTrue(outcome.err().contains("--ffn"), outcome.err());
    }
  }

  @Test
  void statisticsTellWhatAttentionRead() throws IOException {
    String text = Files.readString(TestData.resource("reference/text-java.txt")).substring(0, 1200);
    List<String> flags = new ArrayList<>(List.of("-n", "3", "--backend", "reference"));
    flags.addAll(List.of("--attention", "certified:0.2", "--margin", "100", "--json", "--stats"));
    flags.add(text);
    Outcome outcome = generate(flags.toArray(String[]::new));
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode attention = new ObjectMapper().readTree(outcome.out()).get("attention");
    assertEquals("certified:0.2", attention.get("class").asText());
    assertEquals(2, attention.get("redone").asInt(), "a margin that is never reached");
    assertEquals(4, attention.get("tokens").asInt());
    assertTrue(attention.get("bytes_read").asLong() > 0);
    assertTrue(attention.get("share_of_dense").asDouble() > 0);
    assertTrue(attention.get("cases").asLong() > 0);
    assertTrue(attention.get("certificate_worst").asDouble() <= 0.2);
    assertTrue(
        attention.get("certificate_mean").asDouble()
            <= attention.get("certificate_worst").asDouble());
    assertEquals(1, attention.get("prefill").get("share_of_dense").asDouble());
    assertTrue(
        outcome
            .err()
            .matches(
                "(?s).*\nattention certified:0.2: [0-9.]+ [kM]B/token in 4 steps, [0-9.]+ % of"
                    + " dense; .*\n  certificate: worst .*\n  2 steps done again one class"
                    + " stricter\n  prompt: .* 100.0 % of dense\nhead dense .*: [0-9]+ of [0-9]+"
                    + " logits a token .*\n"),
        outcome.err());
  }

  @Test
  void theHeadComputesWhatItIsAskedTo() throws IOException {
    Outcome dense = generate("-n", "12", "--head", "dense", "--json", "--stats", PROMPT);
    Outcome certified = generate("-n", "12", "--head", "certified", "--json", "--stats", PROMPT);
    JsonNode all = new ObjectMapper().readTree(dense.out());
    JsonNode some = new ObjectMapper().readTree(certified.out());
    assertEquals(all.get("text").asText(), some.get("text").asText());
    assertEquals("dense", all.get("head").get("class").asText());
    assertTrue(all.get("head").get("reason").isNull());
    assertEquals(1, all.get("head").get("bytes_share").asDouble());
    JsonNode head = some.get("head");
    assertEquals("certified", head.get("class").asText());
    assertEquals(11, head.get("rows").asInt());
    int vocabulary = head.get("candidates").get("of").asInt();
    assertEquals(vocabulary, all.get("head").get("candidates").get("mean").asInt());
    assertTrue(head.get("candidates").get("mean").asDouble() < vocabulary);
    assertTrue(head.get("candidates").get("p95").asInt() <= vocabulary);
    assertTrue(head.get("undecided_rows").asInt() <= head.get("dense_rows").asInt());
    assertTrue(certified.err().contains("\nhead certified: "), certified.err());
    JsonNode none = new ObjectMapper().readTree(generate("-n", "1", "--json", PROMPT).out());
    assertTrue(none.get("head").get("candidates").isNull());
    assertTrue(none.get("head").get("reason").asText().contains("32,768"));
  }

  @Test
  void denseAttentionHasNoCertificate() throws IOException {
    Outcome outcome = generate("-n", "2", "--json", "--backend", "reference", PROMPT);
    JsonNode attention = new ObjectMapper().readTree(outcome.out()).get("attention");
    assertEquals("dense", attention.get("class").asText());
    assertEquals(1, attention.get("share_of_dense").asDouble());
    assertTrue(attention.get("certificate_worst").isNull());
    assertEquals(0, attention.get("redone").asInt());
  }

  @Test
  void jsonHoldsWhatTheTextModePrints() throws IOException {
    Outcome text = generate("-n", "8", PROMPT);
    Outcome json = generate("-n", "8", "--json", "--seed", "7", PROMPT);
    JsonNode document = new ObjectMapper().readTree(json.out());
    assertEquals(text.out(), document.get("text").asText());
    assertEquals(8, document.get("ids").size());
    assertEquals(document.get("prompt_ids").size(), document.get("prefill").get("tokens").asInt());
    assertEquals(7, document.get("decode").get("tokens").asInt());
    assertTrue(document.get("decode").get("tokens_per_second").asDouble() > 0);
    assertTrue(document.get("decode").get("seconds").asDouble() > 0);
    assertEquals("length", document.get("finish_reason").asText());
    assertEquals("java-7m.Q8_0.gguf", document.get("model").asText());
    assertEquals(7, document.get("seed").asLong());
    assertTrue(document.get("bytes_per_token").asLong() > 1_000_000);
    assertTrue(document.get("cost").get("machine_hours_per_million_tokens").asDouble() > 0);
    assertTrue(document.get("cost").get("price_per_hour").isNull());
    assertFalse(document.get("backend").asText().isEmpty());
  }

  @Test
  void equalSeedsGiveEqualTexts() {
    String[] arguments = {"generate", "-n", "24", "--temp", "1.5", "--seed", "11", PROMPT};
    assertEquals(Outcome.of(arguments).out(), Outcome.of(arguments).out());
    arguments[6] = "12";
    Outcome other = Outcome.of(arguments);
    arguments[6] = "11";
    assertFalse(Outcome.of(arguments).out().equals(other.out()));
  }

  @Test
  void noTokensWanted() {
    Outcome outcome = generate("-n", "0", PROMPT);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertEquals("", outcome.out());
    assertTrue(outcome.err().contains(" + 0 tokens | prefill "), outcome.err());
    assertTrue(outcome.err().contains("| decode - |"), outcome.err());
  }

  @Test
  void stopStringsEndTheTextAndAreNoPartOfIt() {
    String text = generate("-n", "40", PROMPT).out();
    String stop = text.substring(10, 13);
    Outcome outcome = generate("-n", "40", "--stop", "never to be seen", "--stop", stop, PROMPT);
    assertEquals(text.substring(0, text.indexOf(stop)), outcome.out());
    assertTrue(outcome.err().endsWith("| stop\n"), outcome.err());
  }

  @Test
  void emptyPromptBeginsWithBos() {
    Outcome outcome = generate("-n", "4", "");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(outcome.err().startsWith("1 + 4 tokens"), outcome.err());
  }

  @Test
  void promptFromStandardInput() {
    byte[] prompt = (PROMPT + "\n").getBytes(StandardCharsets.UTF_8);
    Outcome outcome = Outcome.withInput(prompt, "generate", "--temp", "0", "-n", "8", "-f", "-");
    assertEquals(generate("-n", "8", PROMPT).out(), outcome.out());
  }

  @Test
  void invalidUtf8IsRefusedWithItsPlace() {
    byte[] prompt = {'i', 'n', 't', ' ', (byte) 0xC3, '('};
    Outcome outcome = Outcome.withInput(prompt, "generate", "-f", "-");
    assertEquals(ExitCode.FAILED, outcome.code());
    assertEquals("", outcome.out());
    assertEquals(
        "jacquard: standard input is not UTF-8: byte 0xC3 at offset 4; convert it first, for"
            + " example with iconv\n",
        outcome.err());
  }

  @Test
  void promptsLongerThanTheContextAreRefused(@TempDir Path folder) throws IOException {
    Path megabyte = Files.writeString(folder.resolve("prompt.txt"), "int x = 1;\n".repeat(95_326));
    for (Outcome outcome :
        List.of(generate("-f", megabyte.toString()), generate("-c", "16", PROMPT.repeat(4)))) {
      assertEquals(ExitCode.FAILED, outcome.code(), outcome.err());
      assertEquals("", outcome.out());
      assertTrue(outcome.err().contains("context"), outcome.err());
      assertEquals(1, outcome.err().lines().count(), outcome.err());
    }
  }

  @Test
  void generationEndsWhereTheContextIsFull() {
    Outcome outcome = generate("-c", "24", "--ignore-eos", PROMPT);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(outcome.err().endsWith("| context full\n"), outcome.err());
  }

  @Test
  void controlTokensAreParsedOnlyWhereAskedFor() throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    String[] arguments = {"--json", "-n", "0", "int x;<|endoftext|>"};
    JsonNode plain = mapper.readTree(generate(arguments).out());
    JsonNode special =
        mapper.readTree(generate("--special", "--json", "-n", "0", arguments[3]).out());
    assertTrue(special.get("prompt_ids").size() < plain.get("prompt_ids").size());
    assertEquals(0, special.get("prompt_ids").get(special.get("prompt_ids").size() - 1).asInt());
  }

  @Test
  void bothBackendsWriteTheSameGreedyText() {
    Outcome reference = generate("--backend", "reference", "--kv", "F32", "-n", "6", PROMPT);
    Outcome automatic = generate("-t", "1", "--batch-size", "3", "-n", "6", PROMPT);
    assertEquals(ExitCode.OK, reference.code(), reference.err());
    assertEquals(reference.out(), automatic.out());
  }

  @Test
  void aModelThatComputesNoNumbersEndsWithAnError(@TempDir Path folder) throws IOException {
    String model = NanScale.write(folder).toString();
    Outcome text = generate("-m", model, "x");
    assertEquals(ExitCode.FAILED, text.code());
    assertEquals("", text.out());
    assertTrue(text.err().matches("(?s).*jacquard: [^\n]*NaN[^\n]*\n"), text.err());
    Outcome json = generate("-m", model, "--json", "x");
    assertEquals(ExitCode.FAILED, json.code());
    JsonNode document = new ObjectMapper().readTree(json.out());
    assertEquals("error", document.get("finish_reason").asText());
    assertEquals(0, document.get("ids").size());
  }

  @Test
  void aFileThatIsNoModelIsRefused() {
    Outcome outcome = generate("-m", TestData.project().resolve("pom.xml").toString(), "x");
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("pom.xml"), outcome.err());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
  }
}
