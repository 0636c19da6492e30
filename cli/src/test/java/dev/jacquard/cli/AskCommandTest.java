package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AskCommandTest {
  private Path folder = Path.of("");
  private String store = "";

  @BeforeEach
  void write(@TempDir Path temporary) throws IOException {
    folder = Files.createDirectory(temporary.resolve("sources"));
    store = temporary.resolve("store").toString();
    Files.writeString(
        folder.resolve("Loom.java"), "class Loom {\n  /** Moves. */\n  void shuttle() {}\n}\n");
    Files.writeString(folder.resolve("far.txt"), "Nothing to see.\n");
    Files.write(folder.resolve("image.bin"), new byte[] {0, 1});
  }

  private Outcome ask(String question, String... more) {
    String[] fixed = {
      "ask",
      folder.toString(),
      question,
      "-c",
      "512",
      "-n",
      "8",
      "-s",
      "1",
      "-t",
      "1",
      "--store",
      store
    };
    String[] all = java.util.Arrays.copyOf(fixed, fixed.length + more.length);
    System.arraycopy(more, 0, all, fixed.length, more.length);
    return Outcome.of(all);
  }

  @Test
  void theAnswerIsTheOutputAndTheCostIsANote() {
    Outcome outcome = ask("Who moves the shuttle?", "--show-files");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(!outcome.out().isEmpty());
    assertTrue(outcome.err().contains("Loom.java"), outcome.err());
    assertTrue(outcome.err().contains("shuttle"), outcome.err());
    assertTrue(outcome.err().contains("skipped  1 binary files"), outcome.err());
    assertTrue(outcome.err().contains("1 of 2 files"), outcome.err());
    assertEquals(outcome.out(), ask("Who moves the shuttle?").out());
  }

  @Test
  void theDocumentTellsWhatWasPlaced() throws IOException {
    Outcome outcome = ask("Who moves the shuttle?", "--json", "--pin", "far.txt");
    JsonNode document = new ObjectMapper().readTree(outcome.out());
    JsonNode context = document.get("context");
    assertEquals(2, context.get("placed").size());
    assertEquals(context.get("tokens").asInt(), context.get("computed_tokens").asInt());
    assertEquals(0, context.get("stored_tokens").asInt());
    JsonNode pinned = context.get("placed").get(0);
    assertEquals("far.txt", pinned.get("path").asText());
    assertTrue(pinned.get("pinned").asBoolean());
    assertEquals("dense", document.get("attention").get("class").asText());
    assertTrue(document.get("seconds_to_first_token").asDouble() > 0);
    JsonNode resident = document.get("resident");
    assertTrue(resident.get("tokens").asInt() > context.get("tokens").asInt());
    assertTrue(
        resident.get("bytes_per_token").asDouble() >= 4096, "8 layers, 2 heads of 64 in 16 bits");
    assertEquals(8, document.get("decode").get("tokens").asInt() + 1);
  }

  @Test
  void whatIsIndexedIsNotComputed() throws IOException {
    Outcome indexed = Outcome.of("index", folder.toString(), "--store", store, "-t", "1");
    assertEquals(ExitCode.OK, indexed.code(), indexed.err());
    JsonNode context =
        new ObjectMapper().readTree(ask("Who moves the shuttle?", "--json").out()).get("context");
    assertEquals(0, context.get("computed_tokens").asInt());
    assertEquals(context.get("tokens").asInt(), context.get("stored_tokens").asInt());
    assertEquals(ExitCode.OK, ask("Who moves the shuttle?", "--recompute", "0").code());
  }

  @Test
  void wrongInputIsExplained() throws IOException {
    assertTrue(ask("Who?", "--pin", "Nobody").err().contains("--pin Nobody"));
    Outcome small = ask("Who?", "-c", "64");
    assertTrue(small.err().contains("-c") || small.err().contains("no room"), small.err());
    Files.delete(folder.resolve("Loom.java"));
    Files.delete(folder.resolve("far.txt"));
    Outcome empty = ask("Who?");
    assertEquals(ExitCode.FAILED, empty.code());
    assertTrue(empty.err().contains("no text files"), empty.err());
  }
}
