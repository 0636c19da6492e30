package dev.jacquard.cli;

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
      return new JacquardCommand(terminal).commandLine().execute(args);
    } catch (Throwable e) {
      return Failures.report(e, terminal);
    }
  }
}
