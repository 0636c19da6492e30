package dev.jacquard.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Benchmark programs that print JSON: {@code jacquard bench} and a peer's {@code llama-bench}. */
final class JsonCommand {
  /** Jacquard's, from the top folder of a checkout. */
  static final List<String> JACQUARD = List.of("./jacquard", "bench", "--json");

  private JsonCommand() {}

  /** The peer's. */
  static List<String> llamaBench(Path program) {
    return List.of(program.toString(), "-o", "json", "-fa", "1");
  }

  /**
   * Runs one of them with the options that both have, and reads what it prints.
   *
   * @param depths cached tokens, separated by commas
   * @throws IOException if it fails
   */
  static JsonNode run(
      List<String> program,
      Path model,
      int threads,
      int prompt,
      int generate,
      int repetitions,
      String depths)
      throws IOException, InterruptedException {
    String options =
        "-t %d -p %d -n %d -r %d -d %s".formatted(threads, prompt, generate, repetitions, depths);
    List<String> command =
        Stream.of(program, List.of("-m", model.toString()), List.of(options.split(" ")))
            .flatMap(List::stream)
            .toList();
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    byte[] out = process.getInputStream().readAllBytes();
    if (process.waitFor() != 0) {
      throw new IOException(String.join(" ", command) + " failed; run it by hand to see why");
    }
    return new ObjectMapper().readTree(out);
  }
}
