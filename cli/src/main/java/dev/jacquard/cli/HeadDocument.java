package dev.jacquard.cli;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.jacquard.session.HeadStatistics;
import org.jspecify.annotations.Nullable;

/**
 * What the output head computed for decoded tokens, in the JSON document.
 *
 * @param reason why all logits were computed although that was not asked for; else null
 * @param candidates null if no token was decoded
 * @param bytesShare share of the bytes of dense; null if no token was decoded
 * @param denseRows rows of which all logits were computed
 * @param undecidedRows those of them for which candidates did not decide
 */
record HeadDocument(
    @JsonProperty("class") String headClass,
    @Nullable String reason,
    int rows,
    @Nullable Candidates candidates,
    @Nullable Double bytesShare,
    int denseRows,
    int undecidedRows) {
  /** Logits that were computed for a row. */
  record Candidates(double mean, int p95, int of) {}

  static HeadDocument of(HeadStatistics head) {
    boolean any = head.rows() > 0;
    return new HeadDocument(
        head.headClass().text(),
        head.reason().isEmpty() ? null : head.reason(),
        head.rows(),
        any ? new Candidates(head.candidatesMean(), head.candidatesP95(), head.vocabulary()) : null,
        any ? head.share() : null,
        head.dense(),
        head.undecided());
  }

  /** A line for people. */
  String text() {
    StringBuilder text = new StringBuilder("head " + headClass);
    if (reason != null) {
      text.append(" (").append(reason).append(')');
    }
    if (candidates != null && bytesShare != null) {
      text.append(
          ": %s of %d logits a token (95 %%: %d), %s %% of the bytes of dense; all logits in %d of %d rows, in %d because candidates did not decide"
              .formatted(
                  Format.decimals(candidates.mean(), 0),
                  candidates.of(),
                  candidates.p95(),
                  Format.decimals(100 * bytesShare, 1),
                  denseRows,
                  rows,
                  undecidedRows));
    }
    return text.toString();
  }
}
