package dev.jacquard.benchmarks;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Which model a benchmark runs, and texts to run it on. */
final class BenchmarkModel {
  private BenchmarkModel() {}

  /** The given path, or the bundled model of the checkout that the command runs in. */
  static Path path(String given) {
    return given.isEmpty() ? Path.of("runtime/models/java-7m.Q8_0.gguf") : Path.of(given);
  }

  /**
   * {@code length} characters of this project's own Java sources, repeated as often as it takes.
   */
  static String sourceText(int length) {
    StringBuilder text = new StringBuilder();
    try (Stream<Path> files = Files.walk(Path.of("runtime/src/main/java"))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).sorted().toList()) {
        text.append(Files.readString(file));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("run benchmarks from the top folder of a checkout", e);
    }
    return text.toString().repeat(length / text.length() + 1).substring(0, length);
  }
}
