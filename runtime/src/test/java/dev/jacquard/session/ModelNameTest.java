package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jacquard.kvstore.KvStore;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The name of a model follows its content, and is read again only when it must be. */
class ModelNameTest {
  private static final FileTime LONG_AGO = FileTime.from(Instant.parse("2020-02-02T02:02:02Z"));

  @TempDir private Path folder = Path.of("");
  private Path model = Path.of("");
  private Path store = Path.of("");

  @BeforeEach
  void copyModel() throws IOException {
    model = Files.copy(TestData.bundledModel(), folder.resolve("model.gguf"));
    store = folder.resolve("store");
    Files.setLastModifiedTime(model, LONG_AGO);
  }

  /** What a process that opens the model anew gets, and whether it read all of it. */
  private record Answer(String name, boolean read) {}

  private Answer ask() {
    boolean[] read = {false};
    try (ModelFile file = ModelFile.open(model)) {
      String name = ModelName.of(file, store, share -> read[0] = true);
      return new Answer(name, read[0]);
    }
  }

  /** Changes a byte that no sample of the fingerprint sees. */
  private void edit() throws IOException {
    String before = fingerprint();
    try (FileChannel channel = FileChannel.open(model, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[] {77}), channel.size() - 12_345);
    }
    assertEquals(before, fingerprint());
  }

  private String fingerprint() {
    try (ModelFile file = ModelFile.open(model)) {
      return file.fingerprint();
    }
  }

  @Test
  void isReadOnceForAnUntouchedFile() {
    Answer first = ask();
    assertTrue(first.read());
    assertEquals(new Answer(first.name(), false), ask());
  }

  @Test
  void editInPlaceGivesAnotherName() throws IOException {
    Answer before = ask();
    edit();
    Answer after = ask();
    assertTrue(after.read());
    assertNotEquals(before.name(), after.name());
  }

  @Test
  void editThatHidesItsTimeGivesAnotherName() throws IOException {
    assumeTrue(model.getFileSystem().supportedFileAttributeViews().contains("unix"));
    Answer before = ask();
    edit();
    Files.setLastModifiedTime(model, LONG_AGO);
    assertNotEquals(before.name(), ask().name());
  }

  @Test
  void copiesShareTheirName() throws IOException {
    Answer original = ask();
    model = Files.copy(model, folder.resolve("copy.gguf"));
    Files.setLastModifiedTime(model, LONG_AGO);
    assertEquals(new Answer(original.name(), true), ask());
  }

  @Test
  void nameOfAFileThatWasJustWrittenIsNotRemembered() throws IOException {
    Files.setLastModifiedTime(model, FileTime.from(Instant.now()));
    assertTrue(ask().read());
    assertTrue(ask().read(), "another edit could have the same time");
  }

  @Test
  void damagedMemoryIsNotUsed() throws IOException {
    Answer first = ask();
    Path memory = memory();
    for (String damaged : List.of("", "model name 1\nhalf", Files.readString(memory) + "more\n")) {
      Files.writeString(memory, damaged);
      assertEquals(first, ask());
    }
  }

  @Test
  void clearingTheStoreForgetsNames() throws IOException {
    Answer first = ask();
    KvStore.clear(store);
    assertEquals(first, ask());
  }

  private Path memory() throws IOException {
    try (Stream<Path> paths = Files.list(store)) {
      return paths
          .filter(p -> p.toString().endsWith(KvStore.MODEL_SUFFIX))
          .findFirst()
          .orElseThrow();
    }
  }
}
