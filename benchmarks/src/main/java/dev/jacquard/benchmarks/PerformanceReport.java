package dev.jacquard.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.evaluation.Svg;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Writes {@code docs/performance.md} (beside peers) and {@code docs/cost.md} (cost of a token, with
 * plots) from the JSON files in {@code docs/performance}.
 */
public final class PerformanceReport {
  private static final Path DOCS = Path.of("docs");
  private static final Path FOLDER = DOCS.resolve("performance");
  private static final String NOTE =
      """
      Written by `benchmarks/run report` from the JSON files in `docs/performance`; do not edit.
      Each table names its machine, commit and date. Figures of different machines do not compare.
      """;

  private PerformanceReport() {}

  /** Runs the command, from the top folder of a checkout. */
  public static void main(String[] args) throws IOException {
    StringBuilder peers = new StringBuilder("# Performance\n" + NOTE);
    StringBuilder cost = new StringBuilder("# Cost of a token\n" + NOTE);
    List<Path> files;
    try (Stream<Path> listed = Files.list(FOLDER)) {
      files = listed.filter(f -> f.toString().endsWith(".json")).sorted().toList();
    }
    for (Path file : files) {
      JsonNode result = new ObjectMapper().readTree(file.toFile());
      if (result.has("peer")) {
        peer(peers, result);
      } else if (result.has("pricePerHour")) {
        cost(cost, result, String.valueOf(file.getFileName()).replace(".json", ""));
      }
    }
    peers.append(
        "\nThe cost of a token by format, depth and what is left out: [cost.md](cost.md).\n");
    Files.writeString(DOCS.resolve("performance.md"), peers);
    Files.writeString(DOCS.resolve("cost.md"), cost);
  }

  private static void cost(StringBuilder page, JsonNode result, String name) throws IOException {
    page.append("\n## ").append(name).append('\n');
    machine(page, result);
    page.append(
        """
        Money: at %.2f per hour of this machine. Bytes: weights, keys and values that a decoded token reads; a
        prefill step of 256 tokens shares one pass over the weights. Multiply-adds: with weights, of scores and of values.
        Heap: JMH's `gc.alloc.rate.norm`. Joules: of the processor's packages, where the machine tells (RAPL).
        Tokens are arbitrary, no text: a certified head then finds many candidates and may compute all logits on top
        ([head-results.md](head-results.md) has texts); `ffn=listed` leaves out random neurons, which takes as long as any.

        | model | left out | phase | depth | ns / token | ± | bytes | multiply-adds | heap bytes | joules | money / 10⁶ tokens |
        |---|---|---|---|---|---|---|---|---|---|---|
        """
            .formatted(result.get("pricePerHour").asDouble()));
    for (JsonNode row : result.get("rows")) {
      long bytes = row.get("bytesMoved").asLong();
      page.append(
          String.format(
              Locale.ROOT,
              "| %s | %s | %s | %d | %,.0f | %,.0f | %s | %,d | %,.0f | %s | %.4f |%n",
              row.get("model").asText(),
              row.get("variant").asText(),
              row.get("phase").asText(),
              row.get("depth").asInt(),
              row.get("nanoseconds").asDouble(),
              row.get("nanosecondsError").asDouble(),
              bytes == 0 ? "–" : String.format(Locale.ROOT, "%,d", bytes),
              row.get("multiplyAdds").asLong(),
              row.get("allocatedBytes").asDouble(),
              row.get("joules").isNull()
                  ? "–"
                  : String.format(Locale.ROOT, "%.3g", row.get("joules").asDouble()),
              row.get("moneyPerMillion").asDouble()));
    }
    missing(page, result);
    plot(
        page,
        name + "-bytes",
        "Time against bytes, decoding",
        "MB per token",
        result,
        "bytesMoved",
        1e-6);
    plot(
        page,
        name + "-depth",
        "Time against depth, decoding",
        "tokens cached + 1",
        result,
        "depth",
        1);
  }

  /** Names what was measured of one model and not of another. */
  private static void missing(StringBuilder page, JsonNode result) {
    Set<String> found = new HashSet<>();
    Set<String> models = new TreeSet<>();
    Set<String> variants = new TreeSet<>();
    for (JsonNode row : result.get("rows")) {
      if (row.get("phase").asText().equals("decode")) {
        String variant = row.get("variant").asText() + " at depth " + row.get("depth").asInt();
        models.add(row.get("model").asText());
        variants.add(variant);
        found.add(row.get("model").asText() + " " + variant);
      }
    }
    for (String model : models) {
      for (String variant : variants) {
        if (!found.contains(model + " " + variant)) {
          page.append("\nNo row for ").append(model).append(", ").append(variant);
          page.append(": its measurement failed, or the check before it.\n");
        }
      }
    }
  }

  /** Decoding time over one of the columns, a series for each model and what it leaves out. */
  private static void plot(
      StringBuilder page,
      String name,
      String title,
      String axis,
      JsonNode result,
      String column,
      double factor)
      throws IOException {
    Map<String, List<Svg.Point>> series = new LinkedHashMap<>();
    for (JsonNode row : result.get("rows")) {
      if (row.get("phase").asText().equals("decode")) {
        double x = factor * row.get(column).asDouble() + (column.equals("depth") ? 1 : 0);
        series
            .computeIfAbsent(
                row.get("model").asText().replace(".gguf", "") + " " + row.get("variant").asText(),
                _ -> new ArrayList<>())
            .add(new Svg.Point(x, row.get("nanoseconds").asDouble() * 1e-6));
      }
    }
    String svg =
        Svg.logarithmic(
            axis,
            "ms per token",
            series.entrySet().stream()
                .map(e -> new Svg.Series(e.getKey(), true, e.getValue()))
                .toList(),
            false);
    Files.writeString(FOLDER.resolve(name + ".svg"), svg);
    page.append("\n![").append(title).append("](performance/").append(name).append(".svg)\n");
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
