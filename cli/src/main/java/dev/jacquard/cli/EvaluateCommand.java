package dev.jacquard.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code evaluate}: the parent of the commands that compare logits. */
@Command(
    name = "evaluate",
    description = "Compares logits: of files, and of ways to compute attention.",
    footer = {
      "  jacquard evaluate logits -f text.txt -o candidate.bin",
      "  jacquard evaluate kl reference.bin candidate.bin --max-kl 0.001",
      "  jacquard evaluate attention --html attention.html"
    })
final class EvaluateCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "a command is missing: logits, kl or attention");
  }
}
