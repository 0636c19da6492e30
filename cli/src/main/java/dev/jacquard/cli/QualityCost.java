package dev.jacquard.cli;

import dev.jacquard.kernels.Op;
import dev.jacquard.neurons.FeedForwardPolicy;
import dev.jacquard.session.AttentionStatistics;
import dev.jacquard.session.Model;
import java.util.stream.Stream;

/** Bytes that a token of the scored half of a window reads, mean. */
final class QualityCost {
  private final long weightsAndCache;
  private long tokens;
  private long spared;

  /** Of a token in the middle of the scored half, whose neurons a policy chooses. */
  QualityCost(Model model, int window, FeedForwardPolicy feedForward) {
    double leftOut =
        switch (feedForward) {
          case FeedForwardPolicy.Dense _ -> 0;
          case FeedForwardPolicy.Prompt(double share) -> share;
        };
    weightsAndCache =
        model.bytesPerToken(window * 3 / 4) - Math.round(leftOut * feedForwardBytes(model));
  }

  /** Bytes of feed-forward layers, as the file stores them. */
  private static long feedForwardBytes(Model model) {
    return model.program().ops().stream()
        .flatMap(
            op ->
                op instanceof Op.FeedForward f
                    ? Stream.of(f.gate(), f.up(), f.down())
                    : Stream.<Op.Linear>of())
        .mapToLong(linear -> linear.weight().tensor().data().byteSize())
        .sum();
  }

  /** Counts a decoded token. */
  void add(AttentionStatistics.Reading reading) {
    tokens++;
    spared += reading.bytesDense() - reading.bytesRead();
  }

  long bytesPerToken() {
    return tokens == 0 ? weightsAndCache : weightsAndCache - spared / tokens;
  }
}
