package dev.jacquard.neurons;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.Program;
import java.util.function.Supplier;

/**
 * The neurons of one generation under {@link FeedForwardPolicy.Prompt}: gathers statistics while
 * the prompt is read, chooses before the first decoded token, and again after every {@link #PERIOD}
 * tokens. Since the values of neurons that are left out are not known, the first {@link #GATHERED}
 * tokens of each further period are decoded with all neurons and count {@link #WEIGHT} times. One
 * thread uses it.
 */
public final class PromptNeurons {
  /** Tokens that are decoded with one set. */
  public static final int PERIOD = 256;

  /** Tokens that begin a further period, decoded with all neurons. */
  public static final int GATHERED = 8;

  /** What each of these counts; a token of the prompt counts once. */
  public static final int WEIGHT = 32;

  /** A shorter prompt says too little: everything is computed until more tokens were decoded. */
  public static final int LEAST_TOKENS = 64;

  private final double share;
  private final Supplier<ColumnNorms> norms;
  private final NeuronStatistics statistics;
  private NeuronRule chosen = NeuronRule.ALL;
  private boolean choosing = true;

  /** Decoded tokens of the present period. */
  private int decoded;

  /**
   * Neurons of a generation.
   *
   * @param norms asked when neurons are first chosen
   */
  public PromptNeurons(
      FeedForwardPolicy.Prompt policy, Program program, Supplier<ColumnNorms> norms) {
    this.share = policy.share();
    this.norms = norms;
    statistics = new NeuronStatistics(program);
  }

  /** The rule of the next decoded token. */
  public NeuronRule rule() {
    if (choosing && statistics.tokens() >= LEAST_TOKENS) {
      chosen = new NeuronRule.Listed(statistics.select(share, norms.get()));
      choosing = false;
    }
    return chosen;
  }

  /** Whether hidden values of the next decoded token are wanted. */
  public boolean gathers() {
    return rule() instanceof NeuronRule.All;
  }

  /** Adds rows of a prompt, or the row of a decoded token, as {@link NeuronStatistics#add}. */
  public void add(int index, Executable executable, int firstRow, int rows, boolean decodedToken) {
    statistics.add(index, executable, firstRow, rows, decodedToken ? WEIGHT : 1);
  }

  /** A token was decoded. */
  public void decoded() {
    decoded++;
    if (chosen instanceof NeuronRule.All ? decoded == GATHERED : decoded == PERIOD) {
      choosing = chosen instanceof NeuronRule.All;
      chosen = NeuronRule.ALL;
      decoded = 0;
    }
  }
}
