package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.testing.NanScale;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InspectCommandTest {
  @Test
  void bundledModelIsDescribed() {
    Outcome outcome = Outcome.of("inspect");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    String out = outcome.out();
    assertTrue(out.startsWith("java-7m.Q8_0.gguf: 7.9 MB, 7.3 M parameters\n"), out);
    assertTrue(out.matches("(?s).*general.architecture +\"llama\".*"), out);
    assertTrue(out.matches("(?s).*tokenizer.ggml.tokens +\\[.*… 4096].*"), out);
    assertTrue(out.matches("(?s).*blk.0.attn_q.weight +Q8_0 +256 x 256 +69.6 kB.*"), out);
    assertTrue(out.matches("(?s).*Q8_0 +57 tensors +7.8 MB +99.8 %.*"), out);
    assertTrue(out.matches("(?s).*1024 tokens +7.8 MB .*"), out);
    assertTrue(
        out.matches(
            "(?s).*--kv q8 keeps [0-9.]+ kB of a token in layers without a window; sketches and page"
                + " means are [0-9.]+ k?B of it, [0-9.]+ %\n.*"),
        out);
    assertTrue(out.matches("(?s).*MatMul Q8_0 +x 16 .*"), out);
    assertTrue(out.matches("(?s).*Head Q8_0 .*two planes.*"), out);
    assertTrue(out.lines().allMatch(line -> line.length() < 250), out);
  }

  @Test
  void jsonHoldsTheSame() throws IOException {
    JsonNode report = new ObjectMapper().readTree(Outcome.of("inspect", "--json").out());
    assertEquals(7_949_888, report.get("bytes").asLong());
    assertEquals(74, report.get("tensors").size());
    assertEquals("llama", report.get("metadata").get("general.architecture").asText());
    assertEquals(4096, report.get("metadata").get("tokenizer.ggml.tokens").get("length").asInt());
    JsonNode memory = report.get("memory").get(0);
    assertEquals(1024, memory.get("context").asInt());
    assertEquals(
        memory.get("total").asLong(),
        memory.get("weights").asLong()
            + memory.get("kv").asLong()
            + memory.get("activations").asLong());
    JsonNode q8 = report.get("q8");
    assertTrue(q8.get("bytes_per_token").asDouble() > 0);
    assertTrue(q8.get("summary_share").asDouble() <= 0.13, q8.toString());
    assertEquals(
        q8.get("summary_share").asDouble(),
        q8.get("summary_bytes_per_token").asDouble() / q8.get("bytes_per_token").asDouble(),
        1e-12);
    assertTrue(report.get("cannot_run").isNull());
    assertFalse(report.get("kernels").isEmpty());
  }

  @Test
  void soundWeightsAreVerified() {
    Outcome outcome = Outcome.of("inspect", "--verify");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(outcome.out().contains("74 tensors read, 0 faulty"), outcome.out());
  }

  @Test
  void weightsThatAreNoNumbersAreFound(@TempDir Path folder) throws IOException {
    byte[] bytes = Files.readAllBytes(TestData.resource("architectures/llama.gguf"));
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat(bytes.length - 4, Float.NaN);
    Path broken = Files.write(folder.resolve("broken.gguf"), bytes);
    Outcome outcome = Outcome.of("inspect", "--verify", "-m", broken.toString());
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.out().contains("1 NaN"), outcome.out());
  }

  @Test
  void aScaleThatIsNoNumberIsFoundWithItsTensor(@TempDir Path folder) throws IOException {
    Outcome outcome = Outcome.of("inspect", "--verify", "-m", NanScale.write(folder).toString());
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.out().contains(NanScale.TENSOR + " has 32 NaN"), outcome.out());
  }

  @Test
  void vocabulariesCanBeInspected() {
    String file = TestData.shared("tokenizers/ggml-vocab-gpt-2.gguf").toString();
    Outcome outcome = Outcome.of("inspect", "-m", file);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(outcome.out().contains("vocabulary and no weights"), outcome.out());
  }

  @Test
  void unknownArchitecturesCanBeInspectedAndTokenize(@TempDir Path folder) throws IOException {
    byte[] bytes = Files.readAllBytes(TestData.resource("architectures/llama.gguf"));
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    int place = text.indexOf("llama", text.indexOf("general.architecture"));
    byte[] other = "lamma".getBytes(StandardCharsets.ISO_8859_1);
    System.arraycopy(other, 0, bytes, place, other.length);
    Path unknown = Files.write(folder.resolve("unknown.gguf"), bytes);
    Outcome outcome = Outcome.of("inspect", "-m", unknown.toString());
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(outcome.out().contains("'lamma' is not known"), outcome.out());
    assertTrue(outcome.out().contains("blk.0.attn_q.weight"), outcome.out());
    String[] tokenize = {"tokenize", "int x", "-m", unknown.toString()};
    Outcome ids = Outcome.of(tokenize);
    assertEquals(ExitCode.OK, ids.code(), ids.err());
    tokenize[3] = TestData.resource("architectures/llama.gguf").toString();
    assertEquals(Outcome.of(tokenize).out(), ids.out());
  }
}
