package dev.jacquard.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * The three streams of the process, always UTF-8. What a command was asked for goes to standard
 * output; statistics, progress, logs and errors go to standard error. Progress bars and colours
 * appear only where a person looks.
 */
final class Terminal {
  /** Who read standard output has gone, as {@code head} does when it has seen enough. */
  static final class OutputClosedException extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  private static final String ERASE_LINE = "\r\u001b[K";

  private final InputStream in;
  private final PrintStream out;
  private final PrintStream err;
  private final boolean outColours;
  private final boolean errColours;
  private final boolean outTerminal;
  private final boolean errTerminal;
  private final Interruption interruption = new Interruption();
  private boolean verbose;
  private boolean statusShown;

  private Terminal(
      InputStream in,
      OutputStream out,
      OutputStream err,
      boolean outTerminal,
      boolean errTerminal,
      boolean colours) {
    this.in = in;
    this.out = new PrintStream(out, false, StandardCharsets.UTF_8);
    this.err = new PrintStream(err, true, StandardCharsets.UTF_8);
    this.outColours = outTerminal && colours;
    this.errColours = errTerminal && colours;
    this.outTerminal = outTerminal;
    this.errTerminal = errTerminal;
  }

  /**
   * The streams of this process. The launcher says which of them are terminals, in the property
   * {@code jacquard.terminals}; without it none is taken for one.
   */
  static Terminal ofProcess(Map<String, String> environment) {
    String terminals = System.getProperty("jacquard.terminals", "");
    boolean colours =
        environment.getOrDefault("NO_COLOR", "").isEmpty()
            && !environment.getOrDefault("TERM", "dumb").equals("dumb");
    return new Terminal(
        System.in,
        new FileOutputStream(FileDescriptor.out),
        new FileOutputStream(FileDescriptor.err),
        terminals.contains("out"),
        terminals.contains("err"),
        colours);
  }

  /** Streams that are no terminals. */
  static Terminal of(InputStream in, OutputStream out, OutputStream err) {
    return new Terminal(in, out, err, false, false, false);
  }

  /** Whether failures show their stack trace. */
  boolean verbose() {
    return verbose;
  }

  /** Sets {@link #verbose()}. */
  void setVerbose(boolean verbose) {
    this.verbose = verbose;
  }

  /** Standard input. */
  InputStream in() {
    return in;
  }

  /** Ctrl-C. */
  Interruption interruption() {
    return interruption;
  }

  /** Standard output, for help and version. */
  PrintWriter outWriter() {
    return new PrintWriter(out, true, StandardCharsets.UTF_8);
  }

  /**
   * Writes to standard output and flushes.
   *
   * @throws OutputClosedException if nobody reads it any more
   */
  void print(String text) {
    out.print(text);
    if (out.checkError()) {
      throw new OutputClosedException();
    }
  }

  /** {@link #print} with a line end. */
  void println(String line) {
    print(line + "\n");
  }

  /**
   * Ends a text that was printed without a line end, where text and notes meet on one terminal.
   * What goes to a file or a pipe stays as it is.
   */
  void endLine() {
    if (outTerminal && errTerminal) {
      err.println();
    }
  }

  /** Writes a line to standard error. */
  synchronized void note(String line) {
    clearStatus();
    err.println(line);
  }

  /** Shows a line of progress that the next one replaces; nothing where nobody looks. */
  synchronized void status(String line) {
    if (errTerminal) {
      err.print(ERASE_LINE + line);
      err.flush();
      statusShown = true;
    }
  }

  /** Removes the line of progress. */
  synchronized void clearStatus() {
    if (statusShown) {
      err.print(ERASE_LINE);
      err.flush();
      statusShown = false;
    }
  }

  /** A bar of 30 characters with the share in percent, for {@link #status}. */
  static String bar(double share) {
    int full = (int) Math.round(30 * Math.clamp(share, 0.0, 1.0));
    return "[" + "#".repeat(full) + "-".repeat(30 - full) + "] " + Math.round(100 * share) + " %";
  }

  /** Whether standard output shows colours. */
  boolean outColours() {
    return outColours;
  }

  /** Text for standard error, dimmed where it shows colours. */
  String dim(String text) {
    return errColours ? "\u001b[2m" + text + "\u001b[0m" : text;
  }

  /** Text for standard output, green or red where it shows colours. */
  String verdict(boolean good, String text) {
    return outColours ? (good ? "\u001b[32m" : "\u001b[31m") + text + "\u001b[0m" : text;
  }
}
