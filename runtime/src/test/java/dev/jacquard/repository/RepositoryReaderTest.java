package dev.jacquard.repository;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Folders without git, with everything that can be wrong in them. */
class RepositoryReaderTest {
  @TempDir private Path folder = Path.of("");

  private void write(String path, String text) {
    write(path, text.getBytes(StandardCharsets.UTF_8));
  }

  private void write(String path, byte[] bytes) {
    try {
      Path file = folder.resolve(path);
      Files.createDirectories(file.getParent());
      Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Repository read() {
    return new RepositoryReader(RepositoryReader.DEFAULT_MAX_FILE_BYTES)
        .read(folder, (_, _, _, _) -> {});
  }

  private static List<String> paths(Repository repository) {
    return repository.files().stream().map(RepositoryFile::path).toList();
  }

  @Test
  void filesComeSortedWithModuleHashAndLanguage() {
    write("pom.xml", "<project/>\n");
    write("lib/pom.xml", "<project/>\n");
    write("lib/src/A.java", "class A {}\n");
    write("lib-b/notes.md", "# Notes\n\nlast line");
    write("README", "Read me.\n");
    Repository repository = read();
    assertEquals(
        List.of("README", "lib-b/notes.md", "lib/pom.xml", "lib/src/A.java", "pom.xml"),
        paths(repository));
    RepositoryFile a = repository.files().get(3);
    assertEquals("lib", a.module());
    assertEquals("", repository.files().get(1).module());
    assertEquals(Language.JAVA, a.language());
    assertEquals(11, a.bytes());
    assertEquals(3, repository.files().get(1).lines());
    assertEquals(64, a.hash().length());
    assertEquals(read().files(), repository.files());
    assertTrue(repository.skipped().isEmpty());
  }

  @Test
  void anEmptyFileIsAFileWithoutSymbols() {
    write("Empty.java", "");
    write("empty.txt", "");
    for (RepositoryFile file : read().files()) {
      assertEquals(0, file.bytes());
      assertEquals(0, file.lines());
      assertEquals(List.of(), file.symbols());
      assertEquals("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", file.hash());
    }
  }

  @Test
  void largeAndBinaryFilesAreListedWithTheirReason() throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(folder.resolve("large.txt").toFile(), "rw")) {
      file.setLength(50_000_000);
    }
    write("image.png", new byte[] {(byte) 0x89, 'P', 'N', 'G', 0, 0, 1});
    write("small.txt", "text\n");
    Repository repository = read();
    assertEquals(List.of("small.txt"), paths(repository));
    assertEquals(
        List.of(
            new SkippedPath("image.png", "is binary"),
            new SkippedPath("large.txt", "has 50000000 bytes, more than the limit of 1048576")),
        repository.skipped());
  }

  @Test
  void textsInOtherEncodingsAreRead() {
    write("latin.txt", "gr\u00fc\u00dfe\n".getBytes(StandardCharsets.ISO_8859_1));
    write("mark.txt", "\ufeffgr\u00fc\u00dfe\n");
    write("wide.txt", "\ufeffgr\u00fc\u00dfe\n".getBytes(StandardCharsets.UTF_16LE));
    write("widest.txt", "\ufeffgr\u00fc\u00dfe\n".getBytes(StandardCharsets.UTF_16BE));
    Repository repository = read();
    assertEquals(
        List.of("ISO-8859-1", "UTF-8", "UTF-16LE", "UTF-16BE"),
        repository.files().stream().map(RepositoryFile::charset).toList());
    for (RepositoryFile file : repository.files()) {
      assertEquals("gr\u00fc\u00dfe\n", repository.text(file));
    }
  }

  @Test
  void symbolicLinksAreNotFollowed() throws IOException {
    write("a/b/file.txt", "text\n");
    Files.createSymbolicLink(folder.resolve("a/b/loop"), folder.resolve("a"));
    Files.createSymbolicLink(folder.resolve("self"), Path.of("self"));
    Repository repository = read();
    assertEquals(List.of("a/b/file.txt"), paths(repository));
    assertEquals(
        List.of(
            new SkippedPath("a/b/loop", "is a symbolic link, which is not followed"),
            new SkippedPath("self", "is a symbolic link, which is not followed")),
        repository.skipped());
  }

  @Test
  void whatBuildsMakeAndIgnoreFilesNameIsLeftOut() {
    write("target/A.class", "x");
    write("web/node_modules/lib/index.js", "x");
    write(".git/config", "x"); // without HEAD this is no repository
    write("src/build.md", "x");
    write("src/.gitignore", "*.log\n!keep.log\n");
    write("src/a.log", "x");
    write("src/keep.log", "x");
    assertEquals(List.of("src/.gitignore", "src/build.md", "src/keep.log"), paths(read()));
  }

  @Test
  void anUnreadableFolderIsListedAndNotFatal() {
    write("locked/secret.txt", "x");
    write("open/file.txt", "x");
    RepositoryReader reader =
        new RepositoryReader(
            1 << 20,
            entered -> {
              if (entered.endsWith("locked")) {
                throw new AccessDeniedException(entered.toString());
              }
              return FileListing.entries(entered);
            });
    Repository repository = reader.read(folder, (_, _, _, _) -> {});
    assertEquals(List.of("open/file.txt"), paths(repository));
    assertEquals(
        List.of(new SkippedPath("locked/", "cannot be read: permission denied")),
        repository.skipped());
  }

  @Test
  void filesThatChangeOrVanishWhileTheFolderIsRead() throws IOException {
    write("a.txt", "line of the first batch\n".repeat(50_000)); // fills a batch
    write("b.txt", "old\n");
    write("c.txt", "gone soon\n");
    List<String> texts = new ArrayList<>();
    Repository repository =
        new RepositoryReader(1 << 24)
            .read(
                folder,
                (file, text, done, total) -> {
                  assertEquals(3, total);
                  texts.add(text);
                  if (done == 1) {
                    write("b.txt", "new and longer\n");
                    folder.resolve("c.txt").toFile().delete();
                  }
                });
    assertEquals(List.of("a.txt", "b.txt"), paths(repository));
    assertEquals("new and longer\n", texts.get(1));
    assertEquals(
        List.of(new SkippedPath("c.txt", "is gone since the folder was listed")),
        repository.skipped());

    RepositoryFile b = repository.files().get(1);
    assertEquals("new and longer\n", repository.text(b));
    write("b.txt", "new and LONGER\n"); // same length: the hash tells
    assertEquals(
        "b.txt was edited since the repository was read; read it again",
        assertThrows(RepositoryException.class, () -> repository.text(b)).getMessage());
    Files.delete(folder.resolve("b.txt"));
    assertThrows(RepositoryException.class, () -> repository.text(b));
  }

  @Test
  void aFolderThatIsNoneIsAnError() {
    write("file.txt", "x");
    RepositoryReader reader = new RepositoryReader(1 << 20);
    assertThrows(
        RepositoryException.class,
        () -> reader.read(folder.resolve("nowhere"), (_, _, _, _) -> {}));
    assertThrows(
        RepositoryException.class,
        () -> reader.read(folder.resolve("file.txt"), (_, _, _, _) -> {}));
    assertThrows(IllegalArgumentException.class, () -> new RepositoryReader(0));
  }

  @Test
  void otherLanguagesAreCutIntoBlocksThatAreTheWholeText() {
    String function = "def f():\n" + "    return 1\n".repeat(100) + "\n";
    String text = function.repeat(5) + "x = 1\n\ny = 2\n";
    write("a.py", text);
    RepositoryFile file = read().files().getFirst();
    int at = 0;
    for (Symbol block : file.symbols()) {
      assertEquals(at, block.start());
      assertEquals(Symbol.Kind.BLOCK, block.kind());
      at = block.end();
    }
    assertEquals(text.length(), at);
    assertEquals(
        List.of("def f():", "def f():", "def f():", "def f():", "def f():"),
        file.symbols().stream().map(Symbol::name).limit(5).toList());
    assertEquals(103, file.symbols().get(1).firstLine());
  }

  @Test
  void aTextWithoutBordersIsCutBetweenLines() {
    String text = "0123456789abcde\n".repeat(2000) + "x".repeat(20_000);
    List<Symbol> blocks = TextBlocks.of(text).symbols();
    assertEquals(0, blocks.getFirst().start());
    assertEquals(text.length(), blocks.getLast().end());
    for (int i = 1; i < blocks.size(); i++) {
      assertEquals(blocks.get(i - 1).end(), blocks.get(i).start());
      assertEquals('\n', text.charAt(blocks.get(i).start() - 1));
    }
    assertTrue(blocks.size() >= 4);
  }
}
