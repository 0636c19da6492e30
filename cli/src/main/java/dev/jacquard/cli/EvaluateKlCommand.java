package dev.jacquard.cli;

import dev.jacquard.evaluation.KlDivergence;
import dev.jacquard.evaluation.LogitsFile;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code evaluate kl}: how far one model's predictions are from another's. */
@Command(
    name = "kl",
    description = {
      "Compares two files of logits over the same tokens.",
      "Prints mean, largest and 99 % quantile of the Kullback-Leibler divergence from the reference"
          + " to the candidate, in nats per token, and how often both prefer the same token."
    },
    footer = "  jacquard evaluate kl reference.bin candidate.bin --max-kl 0.001")
final class EvaluateKlCommand implements Callable<Integer> {
  /** The JSON document. */
  record Document(
      int positions, double meanKl, double maxKl, double kl99, double topAgreement) {}

  private final Terminal terminal;

  @Parameters(index = "0", paramLabel = "REFERENCE", description = "File to compare with.")
  private Path reference = Path.of("");

  @Parameters(index = "1", paramLabel = "CANDIDATE", description = "File that is judged.")
  private Path candidate = Path.of("");

  @Option(
      names = "--max-kl",
      paramLabel = "X",
      converter = Numbers.FiniteNotNegative.class,
      description = "Exit with code 3 if the mean divergence is larger than this.")
  private @Nullable Double maxKl;

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  EvaluateKlCommand(Terminal terminal) {
    this.terminal = terminal;
  }
}
