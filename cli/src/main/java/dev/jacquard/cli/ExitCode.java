package dev.jacquard.cli;

/** The exit codes of the command, listed in every command's help and in docs/cli.md. */
final class ExitCode {
  static final int OK = 0;
  static final int FAILED = 1;
  static final int USAGE = 2;
  static final int THRESHOLD = 3;
  static final int INTERRUPTED = 130;
  static final int OUTPUT_CLOSED = 141;

  private ExitCode() {}
}
