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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code jacquard prune} on the bundled model. */
class PruneCommandTest {
  @TempDir private Path folder = Path.of("");

  private Path out() {
    return folder.resolve("out.gguf");
  }

  private Outcome prune(String... more) {
    List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of("prune", TestData.bundledModel().toString(), "-o", out().toString()));
    arguments.addAll(List.of(more));
    return Outcome.of(arguments.toArray(new String[0]));
  }

  private Outcome pruneOnSources(String... more) {
    List<String> arguments = new ArrayList<>(List.of("-n", "16384", "--calibrate"));
    arguments.add(TestData.project().resolve("kernels/core/src/main").toString());
    arguments.addAll(List.of(more));
    return prune(arguments.toArray(new String[0]));
  }

  private static JsonNode json(Outcome outcome) throws IOException {
    return new ObjectMapper().readTree(outcome.out());
  }

  @Test
  void theNeuronsThatCountLeastCostLittleAndRandomOnesThreeTimesAsMuch() throws IOException {
    Outcome scored = pruneOnSources("--force", "--json");
    assertEquals(ExitCode.OK, scored.code(), scored.err());
    JsonNode document = json(scored);
    double factor = document.get("perplexity_factor").asDouble();
    assertTrue(factor > 0.99 && factor < 1.05, "perplexity × " + factor);
    assertEquals(
        0.85,
        document.get("feed_forward_bytes_after").asDouble()
            / document.get("feed_forward_bytes_before").asDouble(),
        0.03);
    assertTrue(document.get("written").asBoolean());
    assertTrue(Files.exists(out()));
    Outcome generated = Outcome.of("generate", "-m", out().toString(), "-n", "8", "public class");
    assertEquals(ExitCode.OK, generated.code(), generated.err());

    Outcome random = pruneOnSources("--force", "--json", "--score", "random");
    double control = json(random).get("perplexity_factor").asDouble();
    assertTrue(control - 1 > 3 * (factor - 1), "random × " + control + ", scored × " + factor);
  }

  @Test
  void aSmallModelIsOnlyWrittenByForce() throws IOException {
    Outcome outcome = pruneOnSources("--compensate", "none");
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("--force keeps it"), outcome.err());
    assertTrue(outcome.out().contains("perplexity"), outcome.out());
    assertFalse(Files.exists(out()));
    try (var files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "1", "-0.2", "NaN", "some"})
  void sharesOutsideAreRefused(String share) {
    Outcome outcome = pruneOnSources("--share", share);
    assertEquals(ExitCode.USAGE, outcome.code());
    assertTrue(outcome.err().contains("--share"), outcome.err());
  }

  @Test
  void theModelIsNotOverwritten() throws IOException {
    Path copy = Files.copy(TestData.bundledModel(), folder.resolve("m.gguf"));
    Path link = Files.createSymbolicLink(folder.resolve("link.gguf"), copy);
    for (Path target : List.of(copy, link)) {
      Outcome outcome =
          Outcome.of(
              "prune", copy.toString(), "-o", target.toString(), "--calibrate", copy.toString());
      assertEquals(ExitCode.USAGE, outcome.code());
      assertTrue(outcome.err().contains("names the model itself"), outcome.err());
    }
    assertEquals(-1, Files.mismatch(TestData.bundledModel(), copy));
  }

  @Test
  void aTextThatIsEmptyBinaryOrShortIsRefused() throws IOException {
    Path text = Files.createDirectories(folder.resolve("text"));
    Files.write(text.resolve("binary"), new byte[10_000]);
    Outcome nothing = prune("--calibrate", text.toString());
    assertEquals(ExitCode.FAILED, nothing.code());
    assertTrue(nothing.err().contains("there is no text"), nothing.err());
    Files.writeString(text.resolve("A.java"), "class A {}\n");
    Outcome little = prune("--calibrate", text.toString());
    assertEquals(ExitCode.FAILED, little.code());
    assertTrue(little.err().contains("name more of it"), little.err());
    assertFalse(Files.exists(out()));
  }

  @Test
  void aShareThatRemovesNothingIsRefused() {
    Outcome outcome = pruneOnSources("--share", "0.001");
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("larger share"), outcome.err());
    assertFalse(Files.exists(out()));
  }
}
