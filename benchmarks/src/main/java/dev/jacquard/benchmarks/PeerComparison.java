package dev.jacquard.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Runs {@code ./jacquard bench} and a peer's {@code llama-bench} in turn, several rounds, on the
 * same files with the same threads, and writes the medians and their ratio. Machines are noisy:
 * only the ratio of one run counts.
 */
@Command(
    name = "peer-comparison",
    mixinStandardHelpOptions = true,
    description = "Measures tokens per second beside llama-bench, in turn; writes JSON.")
public final class PeerComparison implements Callable<Integer> {
  /**
   * A test on a model.
   *
   * @param model file name
   * @param test as {@code pp256}
   * @param ours median tokens per second over all rounds
   * @param peer the same of the peer
   * @param ratio ours / peer
   */
  record Row(String model, String test, double ours, double peer, double ratio) {}

  /** The whole result; {@code peer} is what the user calls the peer. */
  record Result(Machine machine, String peer, int threads, int rounds, List<Row> rows) {}

  @Parameters(arity = "1..*", description = "Models.")
  private List<Path> models = List.of();

  @Option(names = "--llama-bench", required = true, description = "The peer's benchmark program.")
  private Path llamaBench = Path.of("");

  @Option(
      names = "--peer",
      description = "Name of the peer in the result (default: ${DEFAULT-VALUE}).",
      defaultValue = "llama.cpp")
  private String peer = "";

  @Option(
      names = {"-t", "--threads"},
      description = "Threads of both (default: ${DEFAULT-VALUE}).",
      defaultValue = "2")
  private int threads;

  @Option(
      names = {"-p", "--prompt"},
      description = "Prompt tokens (default: ${DEFAULT-VALUE}).",
      defaultValue = "256")
  private int prompt;

  @Option(
      names = {"-n", "--generate"},
      description = "Generated tokens (default: ${DEFAULT-VALUE}).",
      defaultValue = "32")
  private int generate;

  @Option(
      names = {"-d", "--depths"},
      description = "Cached tokens (default: ${DEFAULT-VALUE}).",
      defaultValue = "0")
  private String depths = "";

  @Option(
      names = "--rounds",
      description = "Turns of each program (default: ${DEFAULT-VALUE}).",
      defaultValue = "3")
  private int rounds;

  @Mixin private final JsonOutput output = new JsonOutput("llama.cpp.json");

  /** Runs the command. */
  public static void main(String[] args) {
    System.exit(new CommandLine(new PeerComparison()).execute(args));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<Row> rows = new ArrayList<>();
    for (Path model : models) {
      Map<String, List<Double>> ours = new LinkedHashMap<>();
      Map<String, List<Double>> peers = new LinkedHashMap<>();
      for (int round = 0; round < rounds; round++) {
        for (JsonNode test : run(JsonCommand.JACQUARD, model)) {
          add(ours, test.get("test").asText(), test.get("tokens_per_second").get("median"));
        }
        for (JsonNode test : run(JsonCommand.llamaBench(llamaBench), model)) {
          String name = name(test);
          for (JsonNode sample : test.get("samples_ts")) {
            add(peers, name, sample);
          }
        }
      }
      for (var entry : ours.entrySet()) {
        double our = median(entry.getValue());
        double their = median(peers.getOrDefault(entry.getKey(), List.of()));
        rows.add(new Row(model.getFileName().toString(), entry.getKey(), our, their, our / their));
      }
    }
    output.write(new Result(Machine.current(), peer, threads, rounds, rows));
    return 0;
  }

  private JsonNode run(List<String> program, Path model) throws IOException, InterruptedException {
    return JsonCommand.run(program, model, threads, prompt, generate, 3, depths);
  }

  private static String name(JsonNode test) {
    String name =
        test.get("n_gen").asInt() > 0
            ? "tg" + test.get("n_gen").asInt()
            : "pp" + test.get("n_prompt").asInt();
    int depth = test.get("n_depth").asInt();
    return depth == 0 ? name : name + " @ d" + depth;
  }

  private static void add(Map<String, List<Double>> samples, String test, JsonNode value) {
    samples.computeIfAbsent(test, _ -> new ArrayList<>()).add(value.asDouble());
  }

  private static double median(List<Double> samples) {
    return Median.of(samples.stream().mapToDouble(x -> x).toArray());
  }
}
