package dev.jacquard.cli;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.jacquard.session.FeedForwardStatistics;
import org.jspecify.annotations.Nullable;

/**
 * What feed-forward layers computed for decoded tokens, in the JSON document.
 *
 * @param neuronShare share of the neurons that counted; null if no token was decoded
 * @param bytesShare share of the bytes of dense; null if no token was decoded
 */
record FeedForwardDocument(
    @JsonProperty("class") String policy,
    @Nullable Double neuronShare,
    @Nullable Double bytesShare) {
  static FeedForwardDocument of(FeedForwardStatistics feedForward) {
    boolean any = feedForward.neurons() > 0;
    return new FeedForwardDocument(
        feedForward.policy(),
        any ? feedForward.neuronShare() : null,
        any ? feedForward.bytesShare() : null);
  }

  /** A line for people. */
  String text() {
    return neuronShare == null || bytesShare == null
        ? "ffn " + policy
        : "ffn %s: %s %% of the neurons, %s %% of the bytes of dense"
            .formatted(
                policy,
                Format.decimals(100 * neuronShare, 1),
                Format.decimals(100 * bytesShare, 1));
  }
}
