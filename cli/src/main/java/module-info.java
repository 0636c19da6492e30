/** The jacquard command. */
module dev.jacquard.cli {
  requires dev.jacquard.runtime;
  requires info.picocli;
  requires com.fasterxml.jackson.databind;

  opens dev.jacquard.cli to
      info.picocli,
      com.fasterxml.jackson.databind;

  provides System.LoggerFinder with
      dev.jacquard.cli.StderrLogger.Finder;
}
