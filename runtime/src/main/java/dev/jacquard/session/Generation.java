package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.neurons.FeedForwardPolicy;
import dev.jacquard.neurons.PromptNeurons;
import dev.jacquard.sampling.Sampler;
import dev.jacquard.session.GenerationStatistics.Phase;
import dev.jacquard.tokenizer.StreamingDetokenizer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Tokens, one after the other: prompt rows, then for each step logits → sampler → detokeniser →
 * stop strings → event.
 *
 * <p>A constraint on what may come next (a grammar, say) belongs between reading the logits and
 * sampling, where it masks them, and is told the token right after it was sampled.
 */
final class Generation extends Job {
  /**
   * All sessions draw from the same sequence of random numbers: what a request generates depends on
   * its seed and the session's content, not on other sessions.
   */
  private static final long RANDOM_SEQUENCE = 0;

  private static final float[] NO_LOGITS = {};

  private final GenerationRequest request;
  private final Model model;
  private final Sampler sampler;
  private final HeadChoice head;
  private final StreamingDetokenizer detokenizer;
  private final StopStrings stops;
  private final GenerationStream stream;
  private int prompt;
  private int prefilled;
  private int placed;
  private int sampled;
  private int decoded;
  private long prefillNanos;
  private long decodeNanos;
  private long decodeBytes;
  private final AttentionTally prefillAttention = new AttentionTally();
  private final AttentionTally decodeAttention = new AttentionTally();
  private final HeadTally decodeHead = new HeadTally();

  private final FeedForwardTally decodeFeedForward = new FeedForwardTally();

  /** Which neurons the prompt wants, or null if all are computed. */
  private final @Nullable PromptNeurons neurons;

  /** Whether the row in hand is computed again, one class stricter and with all neurons. */
  private boolean redoing;

  private int redone;

  Generation(Session session, GenerationRequest request, Model model) {
    super(session);
    this.request = request;
    this.model = model;
    sampler = new Sampler(request.sampling(), model.vocabulary());
    head = HeadChoice.of(request.head(), request.sampling(), request.margin(), model.program());
    detokenizer = StreamingDetokenizer.ofContinuation(model.tokenizer());
    stops = new StopStrings(request.stopStrings());
    neurons =
        switch (request.feedForward()) {
          case FeedForwardPolicy.Dense _ -> null;
          case FeedForwardPolicy.Prompt policy ->
              new PromptNeurons(policy, model.program(), model::columnNorms);
        };
    stream = new GenerationStream(this::cancel, model.engine()::wake);
  }

  GenerationStream stream() {
    return stream;
  }

  @Override
  @Nullable FinishReason begin() {
    if (wantsToken() && pending() == 0) {
      sequence().forget(sequence().length() - 1); // its logits were never read, or are gone
    }
    prompt = pending();
    return prompt == 0 ? limitReached() : null;
  }

  @Override
  AttentionPolicy policy() {
    return redoing ? ownPolicy().stricter() : ownPolicy();
  }

  @Override
  HeadRule headRule() {
    return head.rule();
  }

  /** Whether the next rows belong to the prompt. */
  private boolean prefilling() {
    return prefilled + placed < prompt;
  }

  @Override
  NeuronRule neurons() {
    return neurons == null || redoing || prefilling() ? NeuronRule.ALL : neurons.rule();
  }

  @Override
  boolean recording() {
    return neurons != null && !redoing && (prefilling() || neurons.gathers());
  }

  @Override
  void afterOp(int index, Executable executable) {
    if (neurons != null) {
      neurons.add(index, executable, firstRow(), rows(), !prefilling());
    }
  }

  private AttentionPolicy ownPolicy() {
    return Objects.requireNonNullElse(request.attention(), sequence().policy());
  }

  @Override
  boolean ready() {
    return stream.hasRoom();
  }

  @Override
  int firstOutput() {
    return wantsToken() ? sequence().length() - 1 : sequence().length();
  }

  @Override
  int maxOutputs() {
    return 1;
  }

  @Override
  @Nullable FinishReason receive(StepLogits logits, int first, long started) {
    boolean prefill = prefilling();
    if (prefill) {
      prefillAttention.add(this, logits);
      placed += placed();
      prefilled += rows();
      stream.put(new GenerationEvent.Prefill(prefilled + placed, prompt));
    } else {
      long spared = decodeAttention.add(this, logits) + decodeFeedForward.add(this, logits);
      decodeBytes += model.stepCost().bytesAt(sequence().length() - 1) - spared;
    }
    FinishReason reason = null;
    if (outputs() > 0 && !prefill && isUnclear(logits, first)) {
      count(logits.head(first), false);
      redo();
    } else if (outputs() > 0) {
      if (!prefill) {
        decoded++;
        if (neurons != null) {
          neurons.decoded();
        }
      }
      redoing = false;
      reason = accept(sample(logits, first, prefill));
    } else if (pending() == 0) {
      reason = limitReached();
    }
    long nanos = System.nanoTime() - started;
    if (prefill) {
      prefillNanos += nanos;
    } else {
      decodeNanos += nanos;
    }
    return reason;
  }

  /** Whether a stricter class should compute the token that was decoded last. */
  private boolean isUnclear(StepLogits logits, int output) {
    boolean exact =
        ownPolicy().exactness(sequence().length()) instanceof Exactness.Dense
            && neurons() instanceof NeuronRule.All;
    if (request.margin() == 0 || redoing || exact) {
      return false;
    }
    float best = Float.NEGATIVE_INFINITY;
    float second = Float.NEGATIVE_INFINITY;
    HeadReport.Row row = logits.head(output);
    float[] all = row.dense() ? logits.read(output) : NO_LOGITS;
    for (int i = 0; i < row.count(); i++) {
      float logit = row.dense() ? all[i] : row.logit(i);
      if (logit > best) {
        second = best;
        best = logit;
      } else if (logit > second) {
        second = logit;
      }
    }
    return best - second < request.margin();
  }

  /** Forgets keys and values of the last token, which the next step computes again. */
  private void redo() {
    redoing = true;
    redone++;
    sequence().forget(sequence().length() - 1);
  }

  private int sample(StepLogits logits, int output, boolean prefill) {
    int position = sequence().length();
    HeadReport.Row row = logits.head(output);
    boolean undecided = false;
    int token = Sampler.UNDECIDED;
    if (!row.dense()) {
      token = sampler.sample(new HeadLogits(row), head.within(), RANDOM_SEQUENCE, position);
      undecided = token == Sampler.UNDECIDED;
      if (undecided) {
        logits.complete();
      }
    }
    if (token == Sampler.UNDECIDED) {
      float[] all = logits.read(output);
      token = sampler.sample(all, sequence().tokens(), position, RANDOM_SEQUENCE, position);
    }
    if (!prefill) {
      count(row, undecided);
    }
    return token;
  }

  private void count(HeadReport.Row row, boolean undecided) {
    decodeBytes -= decodeHead.add(row, undecided);
  }

  private @Nullable FinishReason accept(int token) {
    if (!request.ignoreEos() && model.endsGeneration(token)) {
      return FinishReason.STOP;
    }
    sampled++;
    sequence().add(token);
    stream.put(new GenerationEvent.Token(token, stops.accept(detokenizer.push(token))));
    if (stops.found()) {
      return FinishReason.STOP;
    }
    return wantsToken() ? null : limitReached();
  }

  private boolean wantsToken() {
    return sampled != request.maxTokens() && sequence().length() < model.context();
  }

  private FinishReason limitReached() {
    return sampled == request.maxTokens() ? FinishReason.LENGTH : FinishReason.CONTEXT_FULL;
  }

  @Override
  void tellEnd(FinishReason reason, @Nullable Throwable error) {
    String text = stops.accept(detokenizer.flush()) + stops.finish();
    stream.end(new GenerationEvent.Finished(reason, text, statistics(), error));
  }

  private GenerationStatistics statistics() {
    return new GenerationStatistics(
        new Phase(prefilled, prefillNanos * 1e-9),
        new Phase(decoded, decodeNanos * 1e-9),
        decoded == 0 ? 0 : decodeBytes / decoded,
        new AttentionStatistics(
            ownPolicy().toString(), prefillAttention.reading(), decodeAttention.reading(), redone),
        decodeHead.statistics(head, model.vocabulary()),
        decodeFeedForward.statistics(request.feedForward().toString()));
  }
}
