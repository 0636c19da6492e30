package dev.jacquard.cli;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.neurons.FeedForwardPolicy;
import dev.jacquard.neurons.NeuronStatistics;
import dev.jacquard.session.AttentionStatistics;
import dev.jacquard.session.Model;
import dev.jacquard.session.Session;
import dev.jacquard.session.Session.LogitsConsumer;

/**
 * A session that reads texts densely and decodes what follows with what a policy leaves out: the
 * neurons of {@link FeedForwardPolicy.Prompt} are chosen by each text that is read.
 */
final class VariantSession implements AutoCloseable {
  private final Model model;
  private final Session session;
  private final AttentionPolicy attention;
  private final FeedForwardPolicy feedForward;
  private NeuronRule rule = NeuronRule.ALL;

  VariantSession(Model model, AttentionPolicy attention, FeedForwardPolicy feedForward) {
    this.model = model;
    this.attention = attention;
    this.feedForward = feedForward;
    session = model.newSession(attention);
  }

  /** Reads tokens from an empty context, all together, and chooses neurons. */
  void read(int[] tokens) {
    session.rewind(0);
    rule =
        switch (feedForward) {
          case FeedForwardPolicy.Dense _ -> {
            session.evaluate(tokens, 0, (_, _) -> {}, AttentionPolicy.DENSE);
            yield NeuronRule.ALL;
          }
          case FeedForwardPolicy.Prompt(double share) -> {
            NeuronStatistics statistics = new NeuronStatistics(model.program());
            session.evaluate(
                tokens, 0, (_, _) -> {}, AttentionPolicy.DENSE, NeuronRule.ALL, statistics);
            yield new NeuronRule.Listed(statistics.select(share, model.columnNorms()));
          }
        };
  }

  /** Reads tokens from an empty context, densely, with logits of the last ones. */
  void readAll(int[] tokens, int outputs, LogitsConsumer consumer) {
    session.rewind(0);
    session.evaluate(tokens, outputs, consumer, AttentionPolicy.DENSE);
  }

  /** Decodes one more token; returns what attention read. */
  AttentionStatistics.Reading decode(int token, LogitsConsumer consumer) {
    return session.evaluate(new int[] {token}, 1, consumer, attention, rule, null);
  }

  @Override
  public void close() {
    session.close();
  }
}
