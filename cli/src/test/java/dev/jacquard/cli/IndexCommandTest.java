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
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IndexCommandTest {
  private static final String MODEL =
      TestData.resource("architectures/llama.gguf").toString(); // a context of 256 tokens

  @TempDir private Path temporary = Path.of("");
  private Path folder = temporary;
  private Path store = temporary;

  @BeforeEach
  void write() throws IOException {
    folder = Files.createDirectories(temporary.resolve("sources"));
    store = temporary.resolve("store");
    Files.createDirectories(folder.resolve("a"));
    Files.writeString(folder.resolve("a/One.java"), "class One { int x = 1; }\n");
    Files.writeString(folder.resolve("Two.java"), "class Two { String s = \"zwei\"; }\n");
    Files.writeString(folder.resolve("notes.txt"), "Some notes, no code.\n");
    Files.writeString(folder.resolve("empty.txt"), "");
    Files.writeString(folder.resolve("long.txt"), "A long text. ".repeat(100));
    Files.write(folder.resolve("image.bin"), new byte[] {0, 1, 2, 3});
  }

  private Outcome run(String... more) {
    List<String> args =
        Stream.concat(
                Stream.of("index", "--store", store.toString(), "-m", MODEL, "--json"),
                Stream.of(more))
            .toList();
    return Outcome.of(args.toArray(new String[0]));
  }

  private JsonNode index(String... more) throws IOException {
    Outcome outcome =
        run(Stream.concat(Stream.of(folder.toString()), Stream.of(more)).toArray(String[]::new));
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    return new ObjectMapper().readTree(outcome.out());
  }

  private static void assertCounts(int computed, int stored, JsonNode document) {
    assertEquals(
        List.of(computed, stored),
        List.of(document.get("computed").asInt(), document.get("stored").asInt()),
        document.toPrettyString());
  }

  @Test
  void storesEachFileOnce() throws IOException {
    JsonNode first = index();
    assertCounts(3, 0, first);
    assertTrue(first.get("computed_tokens").asInt() > 30, first.toPrettyString());
    assertEquals(first.get("tokens"), first.get("computed_tokens"));
    assertEquals(first.get("bytes"), first.get("store").get("bytes"));
    assertEquals(3, first.get("store").get("files").asInt());
    List<String> skipped =
        first.get("skipped").valueStream().map(s -> s.get("path").asText()).toList();
    assertEquals(List.of("empty.txt", "image.bin", "long.txt"), skipped);
    String reason = first.get("skipped").get(2).get("reason").asText();
    assertTrue(reason.contains("more than the context of 256"), reason);

    JsonNode second = index();
    assertCounts(0, 3, second);
    assertEquals(first.get("tokens"), second.get("tokens"));
    assertEquals(0, second.get("computed_tokens").asInt());

    Files.writeString(folder.resolve("Two.java"), "class Two { String s = \"deux\"; }\n");
    assertCounts(1, 2, index());

    // A path is part of what the model reads.
    Files.move(folder.resolve("a/One.java"), folder.resolve("One.java"));
    assertCounts(1, 2, index());
  }

  @Test
  void damagedFilesAreComputedAgain() throws IOException {
    index();
    try (Stream<Path> files = Files.list(store)) {
      Files.write(files.findFirst().orElseThrow(), new byte[100]);
    }
    assertCounts(1, 2, index());
    assertCounts(0, 3, index());
  }

  @Test
  void aSmallStoreLetsFilesGoAndSaysSo() throws IOException {
    long bytes = index().get("bytes").asLong();
    Outcome cleared = run("--clear");
    assertEquals(3, new ObjectMapper().readTree(cleared.out()).get("files").asInt());
    JsonNode document = index("--store-size", String.valueOf(bytes - 1));
    assertCounts(3, 0, document);
    assertEquals(1, document.get("store").get("evicted").asInt());
    assertEquals(2, document.get("store").get("files").asInt());

    Outcome outcome = run(folder.toString(), "--store-size", "1KB");
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("more than the whole store may have (1000)"), outcome.err());
  }

  @Test
  void printsForPeople() {
    Outcome outcome =
        Outcome.of("index", folder.toString(), "--store", store.toString(), "-m", MODEL);
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(
        outcome.out().startsWith("3 of 5 files: 3 computed, 0 were stored already\n"),
        outcome.out());
    assertTrue(outcome.out().contains("skipped image.bin: it is binary\n"), outcome.out());
    assertTrue(outcome.out().contains("skipped empty.txt: it is empty\n"), outcome.out());

    outcome = Outcome.of("index", "--list", "--store", store.toString());
    assertTrue(outcome.out().startsWith(store + ": 3 files, "), outcome.out());
    outcome = Outcome.of("index", "--clear", "--store", store.toString());
    assertTrue(outcome.out().endsWith(" removed\n"), outcome.out());
    outcome = Outcome.of("index", "--list", "--store", store.toString());
    assertEquals(store + ": 0 files, 0 B\n", outcome.out());
  }

  @Test
  void failuresAreOneLine() throws IOException {
    Outcome outcome = run(folder.resolve("none").toString());
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("there is no such folder"), outcome.err());
    Files.writeString(store, "a file");
    outcome = run(folder.toString());
    assertEquals(ExitCode.FAILED, outcome.code());
    assertTrue(outcome.err().contains("cannot be used as a store"), outcome.err());
    assertFalse(outcome.err().contains("\tat "), outcome.err());
  }
}
