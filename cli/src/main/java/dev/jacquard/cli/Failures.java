package dev.jacquard.cli;

import dev.jacquard.memory.JacquardException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;

/** How failures end: one line on standard error and an exit code. */
final class Failures {
  private Failures() {}

  /** Reports a failure, with its stack trace if that is wanted, and returns the exit code. */
  static int report(Throwable failure, Terminal terminal) {
    terminal.clearStatus();
    int code =
        switch (failure) {
          case Terminal.OutputClosedException _ -> ExitCode.OUTPUT_CLOSED;
          case CancellationException _ -> ExitCode.INTERRUPTED;
          default -> ExitCode.FAILED;
        };
    if (code == ExitCode.FAILED) {
      terminal.note("jacquard: " + message(failure));
      if (terminal.verbose()) {
        StringWriter trace = new StringWriter();
        failure.printStackTrace(new PrintWriter(trace));
        terminal.note(trace.toString().stripTrailing());
      }
    }
    return code;
  }

  private static String message(Throwable failure) {
    return switch (failure) {
      case JacquardException e -> oneLine(e.getMessage());
      case NoSuchFileException e -> e.getFile() + ": there is no such file";
      case AccessDeniedException e -> e.getFile() + ": permission denied";
      case FileSystemException e ->
          e.getFile() + ": " + (e.getReason() == null ? e.getMessage() : e.getReason());
      case IOException e -> "input or output failed: " + oneLine(e.getMessage());
      case OutOfMemoryError e ->
          "out of memory ("
              + oneLine(e.getMessage())
              + "): lower --ctx-size or --batch-size, or give Java more heap with"
              + " JACQUARD_JAVA_OPTS=-Xmx1g";
      default ->
          "unexpected "
              + failure.getClass().getSimpleName()
              + ": "
              + oneLine(failure.getMessage())
              + " (this is a bug; --verbose shows where)";
    };
  }

  private static String oneLine(@Nullable String message) {
    return message == null ? "no details" : message.strip().replaceAll("\\s*\\R\\s*", " ");
  }
}
