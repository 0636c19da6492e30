package dev.jacquard.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The list of commands. A new one is one class and one line in {@link #commandLine()}. */
@Command(
    name = "jacquard",
    scope = ScopeType.INHERIT,
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    usageHelpWidth = 100,
    sortOptions = false,
    sortSynopsis = false,
    abbreviateSynopsis = true,
    optionListHeading = "%nOptions:%n",
    parameterListHeading = "%nParameters:%n",
    commandListHeading = "%nCommands:%n",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:the input, the model or the machine failed; the message says what",
      "2:wrong usage",
      "3:a threshold was not met (evaluate kl --max-kl)",
      "130:interrupted by Ctrl-C (143: by SIGTERM)",
      "141:nobody reads standard output any more"
    },
    footerHeading = "%nExample:%n",
    description = "Runs transformer language models on this machine and says what a token costs.",
    footer = "  jacquard generate \"public static int gcd(int a, int b) {\"")
final class JacquardCommand implements Runnable {
  private final Terminal terminal;

  @Spec private CommandSpec spec = CommandSpec.create();

  JacquardCommand(Terminal terminal) {
    this.terminal = terminal;
  }

  /** The argument parser with every command. */
  CommandLine commandLine() {
    CommandLine evaluate =
        new CommandLine(new EvaluateCommand())
            .addSubcommand(new EvaluateLogitsCommand(terminal))
            .addSubcommand(new EvaluateKlCommand(terminal))
            .addSubcommand(new EvaluateAttentionCommand(terminal))
            .addSubcommand(new EvaluateQualityCommand(terminal));
    return new CommandLine(this)
        .addSubcommand(new GenerateCommand(terminal))
        .addSubcommand(new InspectCommand(terminal))
        .addSubcommand(new TokenizeCommand(terminal))
        .addSubcommand(new PerplexityCommand(terminal))
        .addSubcommand(evaluate)
        .addSubcommand(new CalibrateCommand(terminal))
        .addSubcommand(new PruneCommand(terminal))
        .addSubcommand(new ImatrixCommand(terminal))
        .addSubcommand(new QuantizeCommand(terminal))
        .addSubcommand(new BenchCommand(terminal))
        .addSubcommand(new IndexCommand(terminal))
        .addSubcommand(new AskCommand(terminal))
        .addSubcommand(new DoctorCommand(terminal))
        .setExpandAtFiles(false)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setOut(terminal.outWriter())
        .setColorScheme(
            CommandLine.Help.defaultColorScheme(terminal.outColours() ? Ansi.ON : Ansi.OFF))
        .setParameterExceptionHandler(this::wrongUsage)
        .setExecutionExceptionHandler((e, _, _) -> Failures.report(e, terminal));
  }

  @Option(
      names = {"-v", "--verbose"},
      scope = ScopeType.INHERIT,
      description = "Log more, and show the stack trace of a failure.")
  void setVerbose(boolean verbose) {
    terminal.setVerbose(verbose);
    StderrLogger.setThreshold(verbose ? System.Logger.Level.DEBUG : System.Logger.Level.WARNING);
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }

  private int wrongUsage(ParameterException e, String[] args) {
    String message = String.valueOf(e.getMessage());
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    terminal.note("jacquard: " + message.replaceFirst("^Error: ", ""));
    terminal.note("Try '" + command + " --help'.");
    return ExitCode.USAGE;
  }
}
