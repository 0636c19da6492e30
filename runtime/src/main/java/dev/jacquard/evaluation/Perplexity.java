package dev.jacquard.evaluation;

import dev.jacquard.sampling.NonFiniteLogitsException;
import dev.jacquard.session.Session;
import java.util.Arrays;

/**
 * How well a model predicts a text: the exponential of the mean negative log-likelihood of its
 * tokens, with the windows and the arithmetic of llama.cpp's {@code llama-perplexity}.
 *
 * <p>The text is cut into windows of {@code n} tokens, each evaluated from an empty context; tokens
 * that fill no window are left out. The second half of a window is scored, so that each prediction
 * has at least half a window before it: the tokens after {@code n / 2}, each by the logits at the
 * one before.
 *
 * @param perplexity of the tokens scored
 * @param uncertainty standard error of the perplexity, from the spread of the log-likelihoods
 * @param tokens how many were scored
 */
public record Perplexity(double perplexity, double uncertainty, int tokens) {
  /** Evaluates windows, as a session does that is rewound to its start before each. */
  @FunctionalInterface
  public interface Evaluator {
    /**
     * Evaluates {@code tokens} from an empty context and hands over the logits after each of the
     * last {@code outputs} of them, in order, before it returns.
     */
    void evaluate(int[] tokens, int outputs, Session.LogitsConsumer consumer);
  }

  /** Is told after each window. */
  @FunctionalInterface
  public interface Progress {
    /** {@code done} of {@code total} windows are scored; their perplexity together. */
    void windowDone(int done, int total, double perplexity);
  }

  /**
   * Scores a text.
   *
   * @param tokens of the whole text
   * @param window tokens in a window, 3 or more
   * @param bos replaces the first token of each window; −1 where the model's file adds none
   * @param evaluator called on this thread, window by window
   * @param progress called on this thread
   * @throws IllegalArgumentException if the text fills no window, or the window is too small
   * @throws NonFiniteLogitsException if the model computes a logit that is NaN or infinite
   */
  public static Perplexity measure(
      int[] tokens, int window, int bos, Evaluator evaluator, Progress progress) {
    if (window < 3) {
      throw new IllegalArgumentException("a window has 3 tokens or more, not " + window);
    }
    int windows = tokens.length / window;
    if (windows == 0) {
      throw new IllegalArgumentException(
          "the text has %d tokens and fills no window of %d; give a longer text or a smaller window"
              .formatted(tokens.length, window));
    }
    Score score = new Score();
    for (int w = 0; w < windows; w++) {
      int[] text = Arrays.copyOfRange(tokens, w * window, (w + 1) * window);
      int firstScored = window / 2 + 1;
      // Nothing is asked of the last token: what would follow it lies in the next window.
      int[] given = Arrays.copyOf(text, window - 1);
      if (bos >= 0) {
        given[0] = bos;
      }
      int outputs = window - firstScored;
      int[] scored = {0};
      evaluator.evaluate(
          given, outputs, (position, logits) -> score.add(logits, text[firstScored + scored[0]++]));
      if (scored[0] != outputs) {
        throw new IllegalStateException(
            "the evaluator gave logits of " + scored[0] + " positions, not of " + outputs);
      }
      progress.windowDone(w + 1, windows, score.perplexity());
    }
    return new Perplexity(score.perplexity(), score.uncertainty(), score.count);
  }

  /** Sums of the negative log-likelihoods and of their squares. */
  private static final class Score {
    private int count;
    private double sum;
    private double squares;

    void add(float[] logits, int token) {
      double loss = LogSumExp.of(logits) - logits[token];
      count++;
      sum += loss;
      squares += loss * loss;
    }

    double perplexity() {
      return Math.exp(sum / count);
    }

    /** The standard error of the mean, times the derivative of the exponential. */
    double uncertainty() {
      double mean = sum / count;
      double variance = Math.max(0, squares / count - mean * mean);
      return count < 2 ? 0 : Math.sqrt(variance / (count - 1)) * perplexity();
    }
  }
}
