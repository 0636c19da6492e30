package dev.jacquard.cli;

/**
 * Makes {@link StderrLogger} the system's logger; found by the service loader. A class of its own,
 * since Maven's compiler plugin parses the source of each service provider, and its parser does not
 * know all of the language.
 */
public final class StderrLoggerFinder extends System.LoggerFinder {
  /** For the service loader. */
  public StderrLoggerFinder() {}

  @Override
  public System.Logger getLogger(String name, Module module) {
    return new StderrLogger(name);
  }
}
