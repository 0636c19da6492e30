package dev.jacquard.cli;

import dev.jacquard.session.GenerationEvent;
import dev.jacquard.session.GenerationRequest;
import dev.jacquard.session.GenerationStream;
import dev.jacquard.session.Session;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.IntFunction;

/**
 * What a generation said.
 *
 * @param text all of it
 * @param ids the generated tokens
 * @param finished how it ended
 */
record Reply(String text, List<Integer> ids, GenerationEvent.Finished finished) {
  /**
   * Generates, with a bar while the prompt is computed; an interruption cancels it.
   *
   * @param reading what the bar is called
   * @param print whether the text goes to standard output as it comes
   * @param spelling what is added to the text of a token, as the name of a control token; may be
   *     empty
   */
  static Reply read(
      Session session,
      GenerationRequest request,
      Terminal terminal,
      String reading,
      boolean print,
      IntFunction<String> spelling) {
    StringBuilder text = new StringBuilder();
    List<Integer> ids = new ArrayList<>();
    try (GenerationStream stream = session.generate(request)) {
      terminal.interruption().onRequest(stream::cancel);
      while (true) {
        switch (stream.next()) {
          case GenerationEvent.Prefill(int done, int total) ->
              terminal.status(reading + " " + Terminal.bar((double) done / total));
          case GenerationEvent.Token(int id, String piece) -> {
            ids.add(id);
            emit(piece + spelling.apply(id), text, terminal, print);
          }
          case GenerationEvent.Finished finished -> {
            emit(finished.text(), text, terminal, print);
            return new Reply(text.toString(), ids, finished);
          }
        }
      }
    }
  }

  private static void emit(String piece, StringBuilder text, Terminal terminal, boolean print) {
    terminal.clearStatus();
    text.append(piece);
    if (print) {
      terminal.print(piece);
    }
  }

  /** Why it ended, in lower case. */
  String reason() {
    return finished.reason().name().toLowerCase(Locale.ROOT);
  }

  /** The exit code of its end; an error is reported. */
  int exitCode(Terminal terminal) {
    return switch (finished.reason()) {
      case STOP, LENGTH, CONTEXT_FULL -> ExitCode.OK;
      case CANCELLED -> ExitCode.INTERRUPTED;
      case ERROR -> Failures.report(Objects.requireNonNull(finished.error()), terminal);
    };
  }
}
