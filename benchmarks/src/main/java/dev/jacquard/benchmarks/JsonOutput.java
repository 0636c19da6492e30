package dev.jacquard.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The file that a benchmark writes. */
final class JsonOutput {
  @Option(
      names = {"-o", "--output"},
      description = "JSON file (default: ${DEFAULT-VALUE}).")
  private Path file;

  /** By default a file of this name in the folder that the report reads. */
  JsonOutput(String name) {
    file = Path.of("docs/performance", name);
  }

  /** Writes a result; the folder is made. */
  void write(Object result) throws IOException {
    Files.createDirectories(file.toAbsolutePath().getParent());
    new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), result);
  }
}
