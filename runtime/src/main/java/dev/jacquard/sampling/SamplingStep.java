package dev.jacquard.sampling;

import java.util.ArrayList;
import java.util.List;

/** One step from logits to a token. Steps are data, so that a device can run the first of them. */
public sealed interface SamplingStep {
  /**
   * Makes recent tokens less likely: positive logits are divided by {@code factor}, others
   * multiplied, once for each token however often it occurs among the {@code lastN} most recent.
   *
   * <p>Source: Keskar et al. 2019, "CTRL", section 4.1, with llama.cpp's care for negative logits.
   */
  record RepeatPenalty(float factor, int lastN) implements SamplingStep {}

  /** Keeps the {@code k} best. */
  record TopK(int k) implements SamplingStep {}

  /**
   * Keeps the fewest best whose probabilities sum to {@code p} or more; one at least.
   *
   * <p>Source: Holtzman et al. 2020, "The curious case of neural text degeneration".
   */
  record TopP(float p) implements SamplingStep {}

  /**
   * Keeps what is at least {@code p} times as probable as the best.
   *
   * <p>Source: Nguyen et al. 2024, "Turning up the heat: min-p sampling".
   */
  record MinP(float p) implements SamplingStep {}

  /** Divides logits by a positive temperature. */
  record Temperature(float temperature) implements SamplingStep {}

  /** Draws one of what is kept by its probability; the last step. */
  record Draw(long seed) implements SamplingStep {}

  /** Takes the best, of equals the lowest id; the last step. */
  record Greedy() implements SamplingStep {}

  /**
   * The steps of the settings, in llama.cpp's order, without those that change nothing. At
   * temperature 0 nothing but the penalty can change which token is best, so that and {@link
   * Greedy} remain.
   */
  static List<SamplingStep> of(SamplingSettings settings) {
    List<SamplingStep> steps = new ArrayList<>();
    if (settings.repeatPenalty() != 1 && settings.repeatLastN() > 0) {
      steps.add(new RepeatPenalty(settings.repeatPenalty(), settings.repeatLastN()));
    }
    if (settings.temperature() == 0) {
      steps.add(new Greedy());
      return List.copyOf(steps);
    }
    if (settings.topK() > 0) {
      steps.add(new TopK(settings.topK()));
    }
    if (settings.topP() < 1) {
      steps.add(new TopP(settings.topP()));
    }
    if (settings.minP() > 0) {
      steps.add(new MinP(settings.minP()));
    }
    if (settings.temperature() != 1) {
      steps.add(new Temperature(settings.temperature()));
    }
    steps.add(new Draw(settings.seed()));
    return List.copyOf(steps);
  }
}
