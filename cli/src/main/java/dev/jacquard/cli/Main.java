package dev.jacquard.cli;

import picocli.CommandLine;

/** The entry point of the process. */
public final class Main {
  private Main() {}

  /** Runs one command and ends the process with its exit code. */
  public static void main(String[] args) {
    Terminal terminal = Terminal.ofProcess(System.getenv());
    terminal.interruption().install();
    int code = run(terminal, args);
    terminal.interruption().finish();
    System.exit(code);
  }

  /** Runs one command on the given streams and returns its exit code. */
  @SuppressWarnings("CatchingUnchecked") // nothing may end in a raw stack trace
  static int run(Terminal terminal, String... args) {
    try {
      CommandLine commandLine = new JacquardCommand(terminal).commandLine();
      int code = commandLine.execute(args);
      commandLine.getOut().flush();
      return code;
    } catch (Throwable e) {
      return Failures.report(e, terminal);
    }
  }
}
