package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.testing.GemmaModel;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The command against llama.cpp's figures for a text of some 32,000 tokens. */
class PerplexityCommandTest {
  private static final String TEXT = TestData.resource("reference/text-perplexity.txt").toString();

  /** Figures of llama-perplexity; windows of 512 are its default and ours. */
  @ParameterizedTest
  @CsvSource({"F16, 22.7150", "Q8_0, 22.7216", "Q4_0, 23.1322", "Q4_K_M, 23.0183"})
  void theBundledModelIsWithinThreePerMilleOfLlamaCpp(String format, double expected)
      throws IOException {
    assertPerplexity(javaModel(format), expected, 0.003);
  }

  private static Path javaModel(String format) {
    String name = "models/java-7m." + format + ".gguf";
    return switch (format) {
      case "Q8_0" -> TestData.bundledModel();
      case "F16" -> TestData.shared(name);
      default -> TestData.resource(name);
    };
  }

  /** The figure of exact arithmetic; llama.cpp's own with 8-bit activations is 6.9872. */
  @Test
  void gemmaIsWithinSixPerMilleOfExact() throws IOException {
    assertPerplexity(GemmaModel.file(), 6.9519, 0.006);
  }

  private static void assertPerplexity(Path model, double expected, double share)
      throws IOException {
    Outcome outcome =
        Outcome.of(
            "perplexity", "--backend", "vector", "--json", "-f", TEXT, "-m", model.toString());
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode document = new ObjectMapper().readTree(outcome.out());
    System.out.println(model.getFileName() + ": " + document);
    double found = document.get("perplexity").asDouble();
    assertEquals(expected, found, share * expected);
    double uncertainty = document.get("uncertainty").asDouble();
    assertTrue(uncertainty > 0.01 * expected && uncertainty < 0.04 * expected, outcome.out());
    assertEquals(0, document.get("tokens").asInt() % 255, outcome.out());
  }
}
