package dev.jacquard.cli;

import dev.jacquard.evaluation.KlDivergence;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
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
      "Prints mean, largest and 99 %% quantile of the Kullback-Leibler divergence from the"
          + " reference to the candidate, in nats per token, and how often both prefer the same"
          + " token."
    },
    footer = "  jacquard evaluate kl reference.bin candidate.bin --max-kl 0.001")
final class EvaluateKlCommand implements Callable<Integer> {
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

  @Override
  public Integer call() throws IOException {
    KlDivergence kl = KlDivergence.between(reference, candidate);
    boolean met = maxKl == null || kl.mean() <= maxKl;
    terminal.print(json ? Json.write(kl) + "\n" : text(kl));
    if (!met) {
      terminal.note("jacquard: the mean divergence is larger than --max-kl " + maxKl);
    }
    return met ? ExitCode.OK : ExitCode.THRESHOLD;
  }

  private static String text(KlDivergence kl) {
    return Format.table(
        "ll",
        List.of(
            List.of("positions", String.valueOf(kl.positions())),
            List.of("mean KL", "%.3e".formatted(kl.mean())),
            List.of("99 % KL", "%.3e".formatted(kl.percentile99())),
            List.of("max KL", "%.3e".formatted(kl.max())),
            List.of("top-1 agreement", Format.decimals(100 * kl.topAgreement(), 2) + " %"),
            List.of("largest logit difference", "%.3e".formatted(kl.largestLogitDifference()))));
  }
}
