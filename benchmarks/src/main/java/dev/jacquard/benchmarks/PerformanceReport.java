package dev.jacquard.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** Writes {@code docs/performance.md} from the JSON files in {@code docs/performance}. */
public final class PerformanceReport {
  private static final Path FOLDER = Path.of("docs/performance");

  private PerformanceReport() {}

  /** Runs the command, from the top folder of a checkout. */
  public static void main(String[] args) throws IOException {
    StringBuilder page =
        new StringBuilder(
            """
            # Performance
            Written by `benchmarks/run report` from the JSON files in `docs/performance`; do not edit.
            Each table names its machine, commit and date. Figures of different machines do not compare.
            """);
    List<Path> files;
    try (Stream<Path> listed = Files.list(FOLDER)) {
      files = listed.filter(f -> f.toString().endsWith(".json")).sorted().toList();
    }
    for (Path file : files) {
      JsonNode result = new ObjectMapper().readTree(file.toFile());
      if (result.has("peer")) {
        peer(page, result);
      } else {
        cost(page, result);
      }
    }
    Files.writeString(Path.of("docs/performance.md"), page);
  }

  private static void cost(StringBuilder page, JsonNode result) {
    page.append("\n## Cost of a token\n");
    machine(page, result);
    page.append(
        """
        Money: at %.2f per hour of this machine. Bytes: weights and cached keys and values that a decoded
        token reads; a prefill step of 256 tokens shares one pass over the weights. Heap: JMH's
        `gc.alloc.rate.norm`.

        | model | phase | depth | ns / token | ± | bytes moved | heap bytes | money / 10⁶ tokens |
        |---|---|---|---|---|---|---|---|
        """
            .formatted(result.get("pricePerHour").asDouble()));
    for (JsonNode row : result.get("rows")) {
      long bytes = row.get("bytesMoved").asLong();
      page.append(
          String.format(
              Locale.ROOT,
              "| %s | %s | %d | %,.0f | %,.0f | %s | %,.0f | %.4f |%n",
              row.get("model").asText(),
              row.get("phase").asText(),
              row.get("depth").asInt(),
              row.get("nanoseconds").asDouble(),
              row.get("nanosecondsError").asDouble(),
              bytes == 0 ? "–" : String.format(Locale.ROOT, "%,d", bytes),
              row.get("allocatedBytes").asDouble(),
              row.get("moneyPerMillion").asDouble()));
    }
  }

  private static void peer(StringBuilder page, JsonNode result) {
    String peer = result.get("peer").asText();
    page.append("\n## Beside ").append(peer).append('\n');
    machine(page, result);
    page.append(
        """
        Tokens per second, medians of %d rounds in turn, %d threads; only the ratio counts.

        | model | test | Jacquard | %s | ratio |
        |---|---|---|---|---|
        """
            .formatted(result.get("rounds").asInt(), result.get("threads").asInt(), peer));
    for (JsonNode row : result.get("rows")) {
      page.append(
          String.format(
              Locale.ROOT,
              "| %s | %s | %.1f | %.1f | %.2f |%n",
              row.get("model").asText(),
              row.get("test").asText(),
              row.get("ours").asDouble(),
              row.get("peer").asDouble(),
              row.get("ratio").asDouble()));
    }
  }

  private static void machine(StringBuilder page, JsonNode result) {
    JsonNode machine = result.get("machine");
    page.append(
        String.format(
            Locale.ROOT,
            "%s, %d cores, Java %s, commit %s, %s.%n",
            machine.get("cpu").asText(),
            machine.get("cores").asInt(),
            machine.get("javaVersion").asText(),
            machine.get("commit").asText(),
            machine.get("date").asText()));
  }
}
