package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImatrixCommandTest {
  private static final Path MODEL = TestData.resource("architectures/llama.gguf");

  @TempDir private Path folder = Path.of("");

  private Path text() throws IOException {
    Path text = Files.createDirectories(folder.resolve("text"));
    Files.copy(TestData.resource("reference/text-english.txt"), text.resolve("a.txt"));
    Files.write(text.resolve("binary"), new byte[1000]);
    return text;
  }

  @Test
  void aMeasuredMatrixServesQuantize() throws IOException {
    Path matrix = folder.resolve("imatrix.gguf");
    Outcome outcome =
        Outcome.of(
            "imatrix",
            "-m",
            MODEL.toString(),
            text().toString(),
            "-o",
            matrix.toString(),
            "-c",
            "64",
            "-n",
            "1000",
            "--json");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    JsonNode document = new ObjectMapper().readTree(outcome.out());
    assertEquals(960, document.get("tokens").asInt());
    assertEquals(14, document.get("matrices").asInt());

    Path out = folder.resolve("out.gguf");
    Outcome quantised =
        Outcome.of(
            "quantize",
            MODEL.toString(),
            out.toString(),
            "--type",
            "Q4_0",
            "--imatrix",
            matrix.toString());
    assertEquals(ExitCode.OK, quantised.code(), quantised.err());
    assertTrue(Files.mismatch(TestData.resource("architectures/llama.Q4_0.gguf"), out) > 0);
    try (GgufFile file = GgufFile.open(out)) {
      assertEquals(14, file.metadata().integer("quantize.imatrix.entries_count"));
      assertEquals(15, file.metadata().integer("quantize.imatrix.chunks_count"));
      assertEquals(matrix.toString(), file.metadata().string("quantize.imatrix.file"));
    }
  }

  @Test
  void whatCannotBeIsSaidInALine() throws IOException {
    String text = text().toString();
    assertFails("fills no piece", MODEL.toString(), text, "-o", "x", "-c", "4096");
    assertFails("would overwrite", MODEL.toString(), text, "-o", MODEL.toString(), "-c", "64");
    Path empty = Files.createDirectories(folder.resolve("empty"));
    assertFails("there is no text", MODEL.toString(), empty.toString(), "-o", "x");
    String binary = folder.resolve("text/binary").toString();
    assertFails("fills no piece", MODEL.toString(), binary, "-o", "x", "-c", "4096");
  }

  private static void assertFails(String expected, String model, String... more) {
    String[] arguments = new String[more.length + 3];
    arguments[0] = "imatrix";
    arguments[1] = "-m";
    arguments[2] = model;
    System.arraycopy(more, 0, arguments, 3, more.length);
    Outcome outcome = Outcome.of(arguments);
    assertEquals(ExitCode.FAILED, outcome.code(), outcome.err());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
    assertTrue(outcome.err().contains(expected), outcome.err());
  }
}
