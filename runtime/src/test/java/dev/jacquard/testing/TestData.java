package dev.jacquard.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/**
 * Finds test data: in the project's own test resources, which every clone has, or in the folder
 * {@code ../shared} beside the clone, which holds what cannot be part of it.
 */
public final class TestData {
  private static final Path ROOT = root();

  private TestData() {}

  /** The top folder of the project. */
  public static Path project() {
    return ROOT;
  }

  /** The model that ships with the project. */
  public static Path bundledModel() {
    return existing(ROOT.resolve("runtime/models/java-7m.Q8_0.gguf"));
  }

  /** A file of the project's test resources, as {@code architectures/llama.gguf}. */
  public static Path resource(String name) {
    return existing(ROOT.resolve("runtime/src/test/resources").resolve(name));
  }

  /**
   * A file of the folder beside the clone, as {@code tokenizers/ggml-vocab-gpt-2.gguf}. Where the
   * folder is missing the test is skipped with a loud line; in CI it fails.
   */
  public static Path shared(String name) {
    Path file = ROOT.resolveSibling("shared").resolve(name);
    if (!Files.exists(file)) {
      skip(file + " is not there");
    }
    return file;
  }

  /** Skips the running test with a loud line that says why; in CI it fails instead. */
  public static void skip(String reason) {
    System.err.println("SKIPPED: " + reason);
    if ("true".equals(System.getenv("CI"))) {
      throw new AssertionError("nothing may be skipped in CI: " + reason);
    }
    Assumptions.abort(reason);
  }

  /** Numbers of a file with one id a line. */
  public static int[] ids(Path file) {
    try (var lines = Files.lines(file)) {
      return lines
          .map(String::strip)
          .filter(line -> !line.isEmpty())
          .mapToInt(Integer::parseInt)
          .toArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Lines of a text file. */
  public static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path existing(Path file) {
    if (!Files.exists(file)) {
      throw new AssertionError(file + " is part of the project and missing");
    }
    return file;
  }

  private static Path root() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.exists(folder.resolve("runtime/models"))) {
      Path parent = folder.getParent();
      if (parent == null) {
        throw new AssertionError("not inside the project: " + Path.of("").toAbsolutePath());
      }
      folder = parent;
    }
    return folder;
  }
}
