package dev.jacquard.session;

import java.util.Locale;

/** How surely the logits that are not computed could not have mattered; docs/pruning.md. */
public enum HeadClass {
  /** All logits are computed. */
  DENSE,
  /** What is not computed is proved not to matter: the tokens are those of DENSE. */
  CERTIFIED,
  /** What is not computed would have to be six standard deviations off an estimate to matter. */
  SIXSIGMA;

  /** Its name on the command line. */
  public String text() {
    return name().toLowerCase(Locale.ROOT);
  }
}
