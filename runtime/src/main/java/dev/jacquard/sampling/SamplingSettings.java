package dev.jacquard.sampling;

/**
 * How a token is drawn from logits. Steps run in llama.cpp's order: repetition penalty, top-k,
 * top-p, min-p, temperature, draw. {@link #DEFAULT} has llama.cpp's defaults.
 *
 * @param temperature 0 for greedy
 * @param topK candidates kept, 0 for all
 * @param topP probability mass kept, 1 for all
 * @param minP least probability relative to the best that is kept, 0 for all
 * @param repeatPenalty divides (or multiplies, if negative) logits of recent tokens; 1 for none
 * @param repeatLastN how many recent tokens (prompt included) are penalised
 * @param seed of the counter-based random numbers
 */
public record SamplingSettings(
    float temperature,
    int topK,
    float topP,
    float minP,
    float repeatPenalty,
    int repeatLastN,
    long seed) {
  /** llama.cpp's defaults, with seed 0. */
  public static final SamplingSettings DEFAULT =
      new SamplingSettings(0.8f, 40, 0.95f, 0.05f, 1.0f, 64, 0);

  /** The most probable token, always. */
  public static final SamplingSettings GREEDY = new SamplingSettings(0, 0, 1, 0, 1, 64, 0);

  /** Checks each range. */
  public SamplingSettings {
    require(temperature >= 0 && temperature < Float.POSITIVE_INFINITY, "temperature", temperature);
    require(topK >= 0, "top-k", topK);
    require(topP >= 0 && topP <= 1, "top-p", topP);
    require(minP >= 0 && minP <= 1, "min-p", minP);
    require(
        repeatPenalty > 0 && repeatPenalty < Float.POSITIVE_INFINITY,
        "repeat penalty",
        repeatPenalty);
    require(repeatLastN >= 0, "repeat last n", repeatLastN);
  }

  private static void require(boolean holds, String name, Number value) {
    if (!holds) {
      throw new IllegalArgumentException(name + " is out of range: " + value);
    }
  }
}
