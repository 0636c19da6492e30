package dev.jacquard.session;

import dev.jacquard.attention.AttentionPolicy;
import dev.jacquard.sampling.SamplingSettings;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What to generate after the session's present content.
 *
 * @param prompt ids to append first; may be empty if the session has content
 * @param maxTokens most tokens to generate; −1 for as many as the context holds
 * @param sampling how tokens are drawn
 * @param stopStrings texts that end the generation; they are not part of the output
 * @param ignoreEos go on after end-of-generation tokens
 * @param attention how closely cached tokens are read; null for the policy of the session
 * @param margin where the best two logits of a decoded token differ by less, its step is done
 *     again, once, one class stricter ({@link AttentionPolicy#stricter}); 0 for never
 * @param head which logits are computed; null for {@link HeadClass#CERTIFIED} where it pays. With
 *     CERTIFIED and DENSE the tokens are the same
 */
public record GenerationRequest(
    List<Integer> prompt,
    int maxTokens,
    SamplingSettings sampling,
    List<String> stopStrings,
    boolean ignoreEos,
    @Nullable AttentionPolicy attention,
    double margin,
    @Nullable HeadClass head) {
  /** Checks and copies. */
  public GenerationRequest {
    prompt = List.copyOf(prompt);
    stopStrings = List.copyOf(stopStrings);
    if (maxTokens < -1) {
      throw new IllegalArgumentException("maxTokens must be -1 or more, not " + maxTokens);
    }
    if (!(margin >= 0 && margin < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("margin must be a number of at least 0, not " + margin);
    }
    for (String stop : stopStrings) {
      if (stop.isEmpty() || stop.codePoints().anyMatch(GenerationRequest::isHalfCharacter)) {
        throw new IllegalArgumentException(
            "a stop string is a text of whole characters and not empty, unlike \"" + stop + "\"");
      }
    }
  }

  private static boolean isHalfCharacter(int codePoint) {
    return codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE;
  }

  /** A request with default sampling, no stop strings and no limit but the context. */
  public static GenerationRequest of(int... prompt) {
    return new GenerationRequest(
        Arrays.stream(prompt).boxed().toList(),
        -1,
        SamplingSettings.DEFAULT,
        List.of(),
        false,
        null,
        0,
        null);
  }

  /** The same with another limit. */
  public GenerationRequest withMaxTokens(int limit) {
    return new GenerationRequest(
        prompt, limit, sampling, stopStrings, ignoreEos, attention, margin, head);
  }

  /** The same with other sampling. */
  public GenerationRequest withSampling(SamplingSettings settings) {
    return new GenerationRequest(
        prompt, maxTokens, settings, stopStrings, ignoreEos, attention, margin, head);
  }

  /** The same with other stop strings. */
  public GenerationRequest withStopStrings(String... stops) {
    return new GenerationRequest(
        prompt, maxTokens, sampling, List.of(stops), ignoreEos, attention, margin, head);
  }

  /** The same, going on after end-of-generation tokens. */
  public GenerationRequest withIgnoreEos(boolean ignore) {
    return new GenerationRequest(
        prompt, maxTokens, sampling, stopStrings, ignore, attention, margin, head);
  }

  /** The same with another policy; null for the session's. */
  public GenerationRequest withAttention(@Nullable AttentionPolicy policy) {
    return new GenerationRequest(
        prompt, maxTokens, sampling, stopStrings, ignoreEos, policy, margin, head);
  }

  /** The same with another margin. */
  public GenerationRequest withMargin(double logits) {
    return new GenerationRequest(
        prompt, maxTokens, sampling, stopStrings, ignoreEos, attention, logits, head);
  }

  /** The same with another class of output head; null for what pays. */
  public GenerationRequest withHead(@Nullable HeadClass other) {
    return new GenerationRequest(
        prompt, maxTokens, sampling, stopStrings, ignoreEos, attention, margin, other);
  }
}
