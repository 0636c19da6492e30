package dev.jacquard.cli;

import dev.jacquard.cli.ModelReport.Verification;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelVerifier;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code inspect}: what a model file holds and what running it would take. */
@Command(
    name = "inspect",
    description = {
      "Shows what a model file holds and what running it takes.",
      "Metadata, tensors and their number formats, the memory per context length, and which kernel"
          + " computes each operation on this machine. Also reads files of unknown architectures"
          + " and files that hold only a vocabulary."
    },
    footer = "  jacquard inspect -m model.gguf --verify")
final class InspectCommand implements Callable<Integer> {
  private final Terminal terminal;

  @Option(
      names = "--verify",
      description = "Read every weight and report those that are not finite.")
  private boolean verify;

  @Option(names = "--json", description = "Print one JSON document.")
  private boolean json;

  @Option(
      names = "--kv",
      paramLabel = "FORMAT",
      description = "Rounding of cached keys and values: f16, f32 or q8 (default: f16).")
  private KvFormat kv = KvFormat.F16;

  @Mixin private final ModelFlag model = new ModelFlag();
  @Mixin private final BackendFlag backend = new BackendFlag();

  InspectCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() {
    try (ModelFile file = ModelFile.open(model.path())) {
      Verification verification = verify ? verification(file) : null;
      ModelReport report = ModelReport.of(file, kv, backend.name(), verification);
      terminal.print(json ? Json.write(report) + "\n" : report.text());
      return verification == null || verification.faults().isEmpty()
          ? ExitCode.OK
          : ExitCode.FAILED;
    }
  }

  private Verification verification(ModelFile file) {
    double all = file.bytes();
    ModelVerifier.Report report =
        ModelVerifier.verify(
            file,
            done -> {
              terminal.interruption().check();
              terminal.status("reading the weights " + Terminal.bar(done / all));
            });
    terminal.clearStatus();
    return Verification.of(report);
  }
}
