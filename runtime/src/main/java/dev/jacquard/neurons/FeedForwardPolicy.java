package dev.jacquard.neurons;

import java.util.Locale;

/** Which neurons of feed-forward layers the decoded tokens of a request compute. */
public sealed interface FeedForwardPolicy {
  /** All of them. */
  record Dense() implements FeedForwardPolicy {
    @Override
    public String toString() {
      return "dense";
    }
  }

  /**
   * Of each layer those that mattered most for the prompt (GRIFFIN, arXiv 2404.01365), chosen anew
   * every {@link PromptNeurons#PERIOD} tokens.
   *
   * @param share how many are left out, above 0 and below 1
   */
  record Prompt(double share) implements FeedForwardPolicy {
    /** Checks. */
    public Prompt {
      if (!(share > 0 && share < 1)) {
        throw new IllegalArgumentException(
            "the share of neurons that is left out is above 0 and below 1, not " + share);
      }
    }

    @Override
    public String toString() {
      return "prompt:" + share;
    }
  }

  /** All neurons. */
  static FeedForwardPolicy dense() {
    return new Dense();
  }

  /**
   * The policy of a text: {@code dense}, or {@code prompt:SHARE} with the share of neurons that is
   * left out; a share of 0 is dense. The policy prints as such a text.
   *
   * @throws IllegalArgumentException if it is none of these; the message says what is allowed
   */
  static FeedForwardPolicy parse(String text) {
    String wanted = text.strip().toLowerCase(Locale.ROOT);
    if (wanted.equals("dense")) {
      return dense();
    }
    if (!wanted.startsWith("prompt:")) {
      throw new IllegalArgumentException(
          "which neurons are computed is said by 'dense' or 'prompt:SHARE', as prompt:0.5, not by '"
              + text
              + "'");
    }
    double share;
    try {
      share = Double.parseDouble(wanted.substring("prompt:".length()));
    } catch (NumberFormatException e) {
      share = Double.NaN;
    }
    if (!(share >= 0 && share < 1)) {
      throw new IllegalArgumentException(
          "'%s': the share of neurons that is left out is a number from 0 up to, but not, 1"
              .formatted(text));
    }
    return share == 0 ? dense() : new Prompt(share);
  }
}
