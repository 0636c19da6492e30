package dev.jacquard.memory;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Runs a main class of the tests in a JVM of its own, which may die. */
final class ChildJvm {
  /** How it ended and all it printed. */
  record Result(int exitStatus, String output) {}

  private ChildJvm() {}

  /** Runs {@code main} on this JVM's class path, in {@code folder}, where crash logs stay. */
  static Result run(Path folder, List<String> options, Class<?> main, String... arguments)
      throws IOException, InterruptedException {
    List<String> command =
        Stream.of(
                Stream.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()),
                Stream.of("-Xmx64m", "-XX:-CreateCoredumpOnCrash"),
                Stream.of("--enable-native-access=ALL-UNNAMED"),
                options.stream(),
                Stream.of("-cp", System.getProperty("java.class.path"), main.getName()),
                Stream.of(arguments))
            .flatMap(words -> words)
            .toList();
    Process process =
        new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("the child JVM hangs: " + output);
    }
    return new Result(process.exitValue(), output);
  }
}
