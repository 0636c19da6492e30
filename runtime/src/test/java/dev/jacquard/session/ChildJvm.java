package dev.jacquard.session;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Runs Java in a JVM of its own, on the class path of the tests, in a folder of the test. */
final class ChildJvm {
  /** How it ended, and all it printed. */
  record Result(int exitStatus, String output) {}

  private ChildJvm() {}

  static Result run(Path folder, String... arguments) throws IOException, InterruptedException {
    List<String> command =
        Stream.concat(
                Stream.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx256m",
                    "-Dstdout.encoding=UTF-8",
                    "-XX:-CreateCoredumpOnCrash",
                    "--add-modules=jdk.incubator.vector",
                    "--enable-native-access=ALL-UNNAMED",
                    "-cp",
                    System.getProperty("java.class.path")),
                Stream.of(arguments))
            .toList();
    Process process =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectOutput(folder.resolve("stdout.txt").toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("the child JVM hangs");
    }
    return new Result(process.exitValue(), Files.readString(folder.resolve("stdout.txt"), UTF_8));
  }
}
