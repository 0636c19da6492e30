package dev.jacquard.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** A command that ran in this JVM, with what it printed. */
record Outcome(int code, String out, String err) {
  /** Runs a command without input. */
  static Outcome of(String... args) {
    return withInput(new byte[0], args);
  }

  /** Runs a command that can read {@code input}. */
  static Outcome withInput(byte[] input, String... args) {
    var out = new ByteArrayOutputStream();
    var err = new ByteArrayOutputStream();
    int code = Main.run(Terminal.of(new ByteArrayInputStream(input), out, err), args);
    return new Outcome(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }
}
