package dev.jacquard.sampling;

import java.util.List;

/**
 * Runs the steps of {@link SamplingSettings} from logits to a token. The result depends on nothing
 * but the arguments: random numbers are a function of seed, sequence and position. One thread uses
 * a sampler; it allocates nothing after its construction.
 */
public final class Sampler {
  /** The token that cannot be chosen from some logits only. */
  public static final int UNDECIDED = -1;

  private final List<SamplingStep> steps;
  private final float leastShare;
  private final Candidates candidates;

  /** One bit a token, all clear between calls: which recent tokens were penalised already. */
  private final long[] penalised;

  /**
   * A sampler for logits of {@code vocabulary} tokens.
   *
   * @throws IllegalArgumentException if the vocabulary is empty
   */
  public Sampler(SamplingSettings settings, int vocabulary) {
    if (vocabulary <= 0) {
      throw new IllegalArgumentException("a vocabulary has tokens, not " + vocabulary);
    }
    this.steps = SamplingStep.of(settings);
    this.leastShare = settings.minP();
    this.candidates = new Candidates(vocabulary);
    this.penalised = new long[Math.ceilDiv(vocabulary, Long.SIZE)];
  }

  /**
   * Chooses a token.
   *
   * @param logits one for each token of the vocabulary; the penalty changes them in place
   * @param recentTokens the sequence's tokens so far, or its last ones, oldest first
   * @param recentCount how many of {@code recentTokens} count, from its start
   * @param sequence number of the sequence, for the random numbers
   * @param position of the token to choose, for the random numbers
   * @return its id
   * @throws NonFiniteLogitsException if a logit is NaN or infinite
   * @throws IllegalArgumentException if there are more or fewer logits than tokens
   */
  public int sample(
      float[] logits, int[] recentTokens, int recentCount, long sequence, long position) {
    candidates.fill(logits);
    float temperature = 1;
    for (int i = 0; i < steps.size(); i++) {
      switch (steps.get(i)) {
        case SamplingStep.RepeatPenalty(float factor, int lastN) -> {
          int first = Math.max(0, recentCount - lastN);
          penalise(logits, recentTokens, first, recentCount, factor);
          candidates.fill(logits);
        }
        case SamplingStep.TopK(int k) -> candidates.keepTop(k);
        case SamplingStep.TopP(float p) -> candidates.keepMass(p);
        case SamplingStep.MinP(float p) -> candidates.keepRelative(p);
        case SamplingStep.Temperature(float t) -> temperature = t;
        case SamplingStep.Draw(long seed) -> {
          return candidates.draw(CounterRandom.uniform(seed, sequence, position), temperature);
        }
        case SamplingStep.Greedy() -> {
          candidates.keepTop(1);
          return candidates.id(0);
        }
      }
    }
    throw new AssertionError("the last step chooses: " + steps);
  }

  /**
   * Chooses a token from those whose logits are known: the same as from all logits.
   *
   * @param known not all logits; at least those of {@link Wanted}
   * @param within how far below the best everything wanted is known: at least that of {@link
   *     Wanted}
   * @param sequence number of the sequence, for the random numbers
   * @param position of the token to choose, for the random numbers
   * @return its id, or {@link #UNDECIDED} if the others could change which tokens are drawn from
   * @throws NonFiniteLogitsException if a logit is NaN or infinite
   */
  public int sample(KnownLogits known, float within, long sequence, long position) {
    candidates.fill(known);
    float temperature = 1;
    int wanted = 0;
    for (int i = 0; i < steps.size(); i++) {
      switch (steps.get(i)) {
        case SamplingStep.RepeatPenalty penalty ->
            throw new IllegalStateException(penalty + " changes any logit");
        case SamplingStep.TopK(int k) -> {
          candidates.keepTop(k);
          wanted = candidates.knows(k, within) ? 0 : k;
        }
        case SamplingStep.TopP(float p) -> {
          if (wanted == 0) {
            candidates.keepMass(p);
          } else if (!candidates.keepMassOfKnown(p, wanted, within, leastShare)) {
            return UNDECIDED;
          }
        }
        case SamplingStep.MinP(float p) -> candidates.keepRelative(p);
        case SamplingStep.Temperature(float t) -> temperature = t;
        case SamplingStep.Draw(long seed) -> {
          return candidates.draw(CounterRandom.uniform(seed, sequence, position), temperature);
        }
        case SamplingStep.Greedy() -> {
          candidates.keepTop(1);
          return candidates.id(0);
        }
      }
    }
    throw new AssertionError("the last step chooses: " + steps);
  }

  private void penalise(float[] logits, int[] tokens, int first, int end, float factor) {
    for (int i = first; i < end; i++) {
      int token = tokens[i];
      long bit = 1L << token;
      if ((penalised[token / Long.SIZE] & bit) == 0) {
        penalised[token / Long.SIZE] |= bit;
        logits[token] = logits[token] > 0 ? logits[token] / factor : logits[token] * factor;
      }
    }
    for (int i = first; i < end; i++) {
      penalised[tokens[i] / Long.SIZE] = 0;
    }
  }
}
