package dev.jacquard.cli;

import dev.jacquard.session.HeadClass;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which logits of the output head are computed. */
final class HeadFlag {
  @Option(
      names = "--head",
      paramLabel = "CLASS",
      description =
          "Which logits are computed: certified (only those that can matter, proved), sixsigma"
              + " (the same by an estimate of six standard deviations) or dense (all). The tokens"
              + " of certified are those of dense (default: certified where it pays).")
  private @Nullable HeadClass headClass;

  /** Null if it was not said. */
  @Nullable HeadClass headClass() {
    return headClass;
  }
}
