package dev.jacquard.cli;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.BackendProvider;
import dev.jacquard.kernels.Backends;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code doctor}: what this machine has, and whether every backend computes what it should. */
@Command(
    name = "doctor",
    description = {
      "Shows what this machine has and tests every backend.",
      "Each backend computes a small transformer layer in every number format, compared with the"
          + " reference: PASS or the reason why not. Exit code 1 if any fails."
    },
    footer = "  jacquard doctor --json")
final class DoctorCommand implements Callable<Integer> {
  private static final String REFERENCE = "reference";
  private static final BackendOptions OPTIONS = new BackendOptions(2);

  /** The outcome for one backend; {@code reason} is null if it passed. */
  record Check(String backend, boolean pass, String detail) {}

  /** The JSON document. */
  record Document(List<Machine.Fact> machine, List<Check> backends) {}

  private final Terminal terminal;

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  DoctorCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() {
    List<Check> checks = Backends.providers().stream().map(DoctorCommand::check).toList();
    Document document = new Document(Machine.facts(), checks);
    terminal.print(json ? Json.write(document) + "\n" : text(document));
    return checks.stream().allMatch(Check::pass) ? ExitCode.OK : ExitCode.FAILED;
  }

  @SuppressWarnings("CatchingUnchecked") // a backend that fails in any way must be reported
  private static Check check(BackendProvider provider) {
    Optional<String> refusal = provider.refusal();
    if (refusal.isPresent()) {
      return new Check(provider.name(), false, refusal.get());
    }
    try (Backend backend = provider.open(OPTIONS)) {
      return compare(provider.name(), backend);
    } catch (Exception | LinkageError e) {
      return new Check(provider.name(), false, e.toString());
    }
  }

  private static Check compare(String name, Backend backend) {
    List<String> wrong = new ArrayList<>();
    double worst = 0;
    try (Arena arena = Arena.ofShared();
        Backend reference = Backends.open(REFERENCE, OPTIONS)) {
      for (ElementFormat format : ElementFormats.all()) {
        BackendSelfTest test = new BackendSelfTest(format, arena);
        double error = BackendSelfTest.error(test.run(backend), test.run(reference));
        worst = Math.max(worst, error);
        if (!(error <= BackendSelfTest.BOUND)) {
          wrong.add("%s (%.1e)".formatted(format.name(), error));
        }
      }
    }
    return wrong.isEmpty()
        ? new Check(
            name,
            true,
            "%s; %d number formats, largest normalised squared error %.1e"
                .formatted(backend.description(), ElementFormats.all().size(), worst))
        : new Check(
            name,
            false,
            "%s; normalised squared error above %.0e: %s"
                .formatted(
                    backend.description(), BackendSelfTest.BOUND, String.join(", ", wrong)));
  }

  private String text(Document document) {
    List<List<String>> facts =
        document.machine().stream().map(fact -> List.of(fact.name(), fact.value())).toList();
    StringBuilder text = new StringBuilder(Format.table("ll", facts)).append('\n');
    for (Check check : document.backends()) {
      text.append(
          "  %s  %s: %s%n"
              .formatted(
                  terminal.verdict(check.pass(), check.pass() ? "PASS" : "FAIL"),
                  check.backend(),
                  check.detail()));
    }
    return text.toString();
  }
}
