package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuantizeCommandTest {
  private static final Path INPUT = TestData.resource("architectures/llama.gguf");

  @TempDir private Path folder = Path.of("");

  private static JsonNode document(Outcome outcome) throws IOException {
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    return new ObjectMapper().readTree(outcome.out());
  }

  @Test
  void writesTheModelAndSaysWhatItTakes() throws IOException {
    Path out = folder.resolve("out.gguf");
    Outcome outcome =
        Outcome.of("quantize", INPUT.toString(), out.toString(), "--type", "q8_0", "-t", "2");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertEquals(-1, Files.mismatch(TestData.resource("architectures/llama.Q8_0.gguf"), out));
    assertTrue(outcome.out().contains("Q8_0  16 tensors"), outcome.out());
    assertTrue(outcome.out().contains("bits a weight"), outcome.out());
  }

  @Test
  void aDryRunListsTensorsAndWritesNothing() throws IOException {
    Outcome outcome = Outcome.of("quantize", INPUT.toString(), "--type", "Q4_K_M", "--dry-run");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(
        outcome.out().matches("(?s).*\n  blk\\.1\\.attn_v\\.weight +64 x 32 +F32 +Q8_0 .*"),
        outcome.out());
    JsonNode document =
        document(
            Outcome.of(
                "quantize",
                INPUT.toString(),
                folder.resolve("x").toString(),
                "--type",
                "Q8_0",
                "--dry-run",
                "--json",
                "--tensor-type",
                "ATTN_V|attn_k=F16",
                "--output-tensor-type=BF16"));
    assertTrue(document.get("output").isNull());
    assertTrue(document.get("seconds").isNull());
    int half = 0;
    for (JsonNode tensor : document.get("tensors")) {
      half += tensor.get("to").asText().equals("F16") ? 1 : 0;
      if (tensor.get("name").asText().equals("output.weight")) {
        assertEquals("BF16", tensor.get("to").asText());
        assertEquals(2 * 64 * 311, tensor.get("bytes").asInt());
      }
    }
    assertEquals(4, half);
    assertTrue(Files.notExists(folder.resolve("x")));
  }

  @Test
  void whatCannotBeIsSaidInALine() {
    Path quantised = TestData.resource("architectures/llama.Q8_0.gguf");
    Path out = folder.resolve("out.gguf");
    assertFails("is quantised already", quantised, out);
    assertFails("would overwrite", INPUT, INPUT);
    assertFails("there is no folder", INPUT, folder.resolve("none/out.gguf"));
    assertFails("no such file", folder.resolve("none.gguf"), out);
    assertFails("an importance matrix", INPUT, out, "--imatrix", INPUT.toString());
    assertFails("there is no such file", INPUT, out, "--imatrix", folder.resolve("no").toString());
    Outcome again =
        Outcome.of(
            "quantize", quantised.toString(), out.toString(), "--type", "Q4_0", "--requantize");
    assertEquals(ExitCode.OK, again.code(), again.err());
  }

  private static void assertFails(String expected, Path input, Path output, String... more) {
    String[] arguments = new String[more.length + 5];
    arguments[0] = "quantize";
    arguments[1] = input.toString();
    arguments[2] = output.toString();
    arguments[3] = "--type";
    arguments[4] = "Q4_0";
    System.arraycopy(more, 0, arguments, 5, more.length);
    Outcome outcome = Outcome.of(arguments);
    assertEquals(ExitCode.FAILED, outcome.code(), outcome.err());
    assertEquals("", outcome.out());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
    assertTrue(outcome.err().contains(expected), outcome.err());
  }
}
