package dev.jacquard.cli;

import java.io.PrintStream;
import java.text.MessageFormat;
import java.util.Locale;
import java.util.ResourceBundle;
import org.jspecify.annotations.Nullable;

/**
 * Logs in plain lines on standard error, warnings and worse unless more is asked for. It stands in
 * for {@code java.util.logging}, which takes longer to start than a short generation takes.
 */
final class StderrLogger implements System.Logger {
  /** Found by the service loader. */
  public static final class Finder extends System.LoggerFinder {
    /** For the service loader. */
    public Finder() {}

    @Override
    public System.Logger getLogger(String name, Module module) {
      return new StderrLogger(name);
    }
  }

  private static volatile Level threshold = Level.WARNING;

  private final String name;

  StderrLogger(String name) {
    this.name = name;
  }

  /** From which level on messages are shown. */
  static void setThreshold(Level level) {
    threshold = level;
  }

  @Override
  public String getName() {
    return name;
  }

  @Override
  public boolean isLoggable(Level level) {
    return level != Level.OFF && level.getSeverity() >= threshold.getSeverity();
  }

  @Override
  public void log(
      Level level,
      @Nullable ResourceBundle bundle,
      @Nullable String message,
      @Nullable Throwable thrown) {
    if (isLoggable(level)) {
      PrintStream err = System.err;
      err.println(level.name().toLowerCase(Locale.ROOT) + ": " + message + cause(thrown));
      if (thrown != null && threshold != Level.WARNING) {
        thrown.printStackTrace(err);
      }
    }
  }

  @Override
  public void log(
      Level level,
      @Nullable ResourceBundle bundle,
      @Nullable String format,
      @Nullable Object @Nullable ... parameters) {
    if (isLoggable(level)) {
      boolean plain = format == null || parameters == null || parameters.length == 0;
      log(level, bundle, plain ? format : MessageFormat.format(format, parameters), (Throwable) null);
    }
  }

  private static String cause(@Nullable Throwable thrown) {
    return thrown == null ? "" : " (" + thrown + ")";
  }
}
