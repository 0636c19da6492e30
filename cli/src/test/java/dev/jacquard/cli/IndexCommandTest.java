package dev.jacquard.cli;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.repository.Repository;
import dev.jacquard.repository.RepositoryReader;
import dev.jacquard.repository.SkippedPath;
import dev.jacquard.session.Jacquard;
import dev.jacquard.session.Model;
import dev.jacquard.session.ModelOptions;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
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
    String line = IntStream.range(1000, 1300).mapToObj(String::valueOf).collect(joining(" "));
    Files.writeString(folder.resolve("wide.txt"), line); // has several sections
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
    assertCounts(4, 0, first);
    assertTrue(first.get("computed_tokens").asInt() > 30, first.toPrettyString());
    assertEquals(first.get("tokens"), first.get("computed_tokens"));
    assertEquals(first.get("bytes"), first.get("store").get("bytes"));
    int sections = first.get("store").get("files").asInt();
    assertTrue(sections > 5, "wide.txt has several sections: " + first.toPrettyString());
    List<String> skipped =
        first.get("skipped").valueStream().map(s -> s.get("path").asText()).toList();
    assertEquals(List.of("empty.txt", "image.bin"), skipped);

    JsonNode second = index();
    assertCounts(0, 4, second);
    assertEquals(first.get("tokens"), second.get("tokens"));
    assertEquals(0, second.get("computed_tokens").asInt());

    Files.writeString(folder.resolve("Two.java"), "class Two { String s = \"deux\"; }\n");
    assertCounts(1, 3, index());

    // A path is part of what the model reads.
    Files.move(folder.resolve("a/One.java"), folder.resolve("One.java"));
    assertCounts(1, 3, index());
  }

  @Test
  void ofALongFileOnlyTheSectionThatWasEditedIsComputed() throws IOException {
    StringBuilder source = new StringBuilder("class Long {\n");
    for (int i = 0; i < 60; i++) {
      source.append("  int m%d() {\n    return %d + 1;\n  }\n\n".formatted(i, 1000 + i));
    }
    source.append("}\n");
    Files.writeString(folder.resolve("Long.java"), source);
    JsonNode first = index();
    Files.writeString(
        folder.resolve("Long.java"), source.toString().replace("1059 + 1", "1059 + 2"));
    JsonNode second = index();
    assertCounts(1, 4, second);
    assertTrue(
        second.get("computed_tokens").asInt() < first.get("tokens").asInt() / 4,
        second.toPrettyString());
  }

  @Test
  void aContextThatIsSmallerThanASectionIsNamed() throws IOException {
    JsonNode document = index("-c", "64");
    JsonNode skipped = document.get("skipped").get(2);
    assertEquals("wide.txt", skipped.get("path").asText());
    assertTrue(
        skipped.get("reason").asText().contains("more than the context of 64"),
        document.toPrettyString());
  }

  @Test
  void damagedFilesAreComputedAgain() throws IOException {
    index();
    try (Stream<Path> files = Files.list(store)) {
      Path damaged = files.filter(p -> p.toString().endsWith(".kv")).findFirst().orElseThrow();
      Files.write(damaged, new byte[100]);
    }
    assertCounts(1, 3, index());
    assertCounts(0, 4, index());
  }

  @Test
  void aSmallStoreLetsFilesGoAndSaysSo() throws IOException {
    long bytes = index().get("bytes").asLong();
    Outcome cleared = run("--clear");
    int files = new ObjectMapper().readTree(cleared.out()).get("files").asInt();
    JsonNode document = index("--store-size", String.valueOf(bytes - 1));
    assertCounts(4, 0, document);
    assertEquals(1, document.get("store").get("evicted").asInt());
    assertEquals(files - 1, document.get("store").get("files").asInt());

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
        outcome.out().startsWith("4 of 5 files: 4 computed, 0 were stored already\n"),
        outcome.out());
    assertTrue(outcome.out().contains("skipped image.bin: it is binary\n"), outcome.out());
    assertTrue(outcome.out().contains("skipped empty.txt: it is empty\n"), outcome.out());

    outcome = Outcome.of("index", "--list", "--store", store.toString());
    assertTrue(outcome.out().matches("(?s)\\Q" + store + "\\E: \\d+ files, .*"), outcome.out());
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

  @Test
  void whatIsEditedWhileTheFolderIsReadIsSkippedWithTheReason() throws IOException {
    Repository repository =
        new RepositoryReader(1 << 20).read(folder, (file, text, done, total) -> {});
    Files.writeString(folder.resolve("notes.txt"), "Other notes.\n");
    Terminal terminal =
        Terminal.of(
            InputStream.nullInputStream(),
            OutputStream.nullOutputStream(),
            OutputStream.nullOutputStream());
    try (Model model = Jacquard.open(Path.of(MODEL), ModelOptions.DEFAULT.withThreads(1))) {
      Indexing indexing = new Indexing(model, model.store(store, 1 << 30), repository, terminal);
      indexing.run();
      assertEquals(3, indexing.computed());
      SkippedPath skipped =
          indexing.skipped().stream()
              .filter(path -> path.path().equals("notes.txt"))
              .findFirst()
              .orElseThrow();
      assertTrue(skipped.reason().contains("was edited"), skipped.reason());
    }
  }
}
