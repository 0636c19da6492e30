package dev.jacquard.pruning;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** How many neurons each layer keeps, and which. */
final class Allocation {
  /** Layers keep whole blocks of so many neurons, at least. */
  static final int LEAST_BLOCK = 32;

  private Allocation() {}

  /**
   * The same number for all layers.
   *
   * @param scores for each layer one for each neuron
   * @param share of the neurons that is removed
   * @param block layers keep a multiple of so many neurons
   * @return for each layer the neurons that are kept, ascending
   * @throws PruningException if not one block can be removed, or nothing would be left
   */
  static List<int[]> uniform(List<double[]> scores, double share, int block) {
    List<int[]> kept = new ArrayList<>();
    for (double[] layer : scores) {
      kept.add(best(layer, count(layer.length, (1 - share) * layer.length, block)));
    }
    return checked(kept, scores, share, block);
  }

  /**
   * As many as the scores say: those of each layer are standardised, and the lowest of all layers
   * together are removed (FLAP).
   */
  static List<int[]> global(List<double[]> scores, double share, int block) {
    List<double[]> standardised = scores.stream().map(Allocation::standardise).toList();
    double[] all = standardised.stream().flatMapToDouble(Arrays::stream).sorted().toArray();
    double threshold = all[Math.min(all.length - 1, (int) (share * all.length))];
    List<int[]> kept = new ArrayList<>();
    for (double[] layer : standardised) {
      double above = Arrays.stream(layer).filter(s -> s >= threshold).count();
      kept.add(best(layer, count(layer.length, above, block)));
    }
    return checked(kept, scores, share, block);
  }

  /** A number of neurons, rounded to whole blocks: at least one, at most as many as there are. */
  private static int count(int neurons, double wanted, int block) {
    return Math.clamp(Math.round(wanted / block) * block, Math.min(block, neurons), neurons);
  }

  private static double[] standardise(double[] scores) {
    double mean = Arrays.stream(scores).average().orElseThrow();
    double variance =
        Arrays.stream(scores).map(s -> (s - mean) * (s - mean)).average().orElseThrow();
    double deviation = Math.sqrt(variance);
    return Arrays.stream(scores).map(s -> deviation > 0 ? (s - mean) / deviation : 0).toArray();
  }

  /**
   * The {@code count} neurons of the highest scores, of equal ones the lower numbers; ascending.
   */
  private static int[] best(double[] scores, int count) {
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < scores.length; i++) {
      order.add(i);
    }
    order.sort(Comparator.comparingDouble(i -> -scores[i]));
    return order.stream().limit(count).mapToInt(Integer::intValue).sorted().toArray();
  }

  private static List<int[]> checked(
      List<int[]> kept, List<double[]> scores, double share, int block) {
    boolean less = false;
    for (int i = 0; i < kept.size(); i++) {
      less |= kept.get(i).length < scores.get(i).length;
    }
    if (!less) {
      throw new PruningException(
          "a share of %s removes no block of %d neurons from layers of %d: "
                  .formatted(share, block, scores.getFirst().length)
              + "choose a larger share, or smaller blocks");
    }
    return kept;
  }
}
