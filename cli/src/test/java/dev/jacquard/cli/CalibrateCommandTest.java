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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code jacquard calibrate} on a copy of the bundled model. */
class CalibrateCommandTest {
  @TempDir private Path folder = Path.of("");
  private Path model = Path.of("");

  @BeforeEach
  void copyModel() throws IOException {
    model = Files.copy(TestData.bundledModel(), folder.resolve("m.gguf"));
  }

  private Outcome calibrate(String... more) {
    String[] arguments = new String[more.length + 3];
    arguments[0] = "calibrate";
    arguments[1] = "-m";
    arguments[2] = model.toString();
    System.arraycopy(more, 0, arguments, 3, more.length);
    return Outcome.of(arguments);
  }

  @Test
  void theBundledTextGivesBasesBesideTheModel() throws IOException {
    Outcome outcome = calibrate("--json", "-n", "8192");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode document = new ObjectMapper().readTree(outcome.out());
    assertEquals(8192, document.get("tokens").asInt());
    assertTrue(Files.exists(folder.resolve("m.basis.gguf")));
    assertEquals(folder.resolve("m.basis.gguf").toString(), document.get("file").asText());
    assertFalse(document.get("layers").isEmpty());
    for (JsonNode layer : document.get("layers")) {
      assertTrue(layer.get("variance_share").asDouble() > 0.8, layer.toString());
      assertTrue(layer.get("error").asDouble() > 0, layer.toString());
      assertTrue(layer.get("tolerance").asDouble() > 0, layer.toString());
    }
  }

  @Test
  void textComesFromFoldersAndWhatIsNoTextIsLeftOut() throws IOException {
    Path text = Files.createDirectories(folder.resolve("text/a/.git"));
    Files.writeString(text.resolve("hidden"), "x ".repeat(50_000));
    Files.write(text.resolveSibling("binary"), new byte[10_000]);
    Files.write(text.resolveSibling("latin"), new byte[] {(byte) 0xe4, 10});
    Outcome nothing = calibrate(folder.resolve("text").toString());
    assertEquals(ExitCode.FAILED, nothing.code());
    assertTrue(nothing.err().contains("there is no text"), nothing.err());

    Files.writeString(text.resolveSibling("A.java"), "class A {}\n");
    Outcome little = calibrate(folder.resolve("text").toString());
    assertEquals(ExitCode.FAILED, little.code());
    assertTrue(little.err().contains("give a longer one"), little.err());

    Files.copy(TestData.resource("reference/text-perplexity.txt"), text.resolveSibling("long.txt"));
    Outcome enough = calibrate("-n", "3000", folder.resolve("text").toString());
    assertEquals(ExitCode.OK, enough.code(), enough.err());
    assertTrue(enough.out().contains("3000 tokens of text in"), enough.out());
  }

  @Test
  void aMissingFolderIsNamed() {
    Outcome outcome = calibrate(folder.resolve("none").toString());
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("none: there is no such file"), outcome.err());
  }
}
