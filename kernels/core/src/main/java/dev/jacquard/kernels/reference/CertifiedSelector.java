package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * CERTIFIED: all keys are read, so that the weights are exact; the lightest tokens enter as the
 * mean of their page, the next in 4 bits, the heaviest in 8.
 *
 * <p>Why the bound holds: with weights p, {@code ‖o − o′‖ ≤ ‖Σ p_i·(v_i − v′_i)‖}, where the tokens
 * that enter as the mean of one page give {@code ‖p‖ · stretch} at most, and a token in 4 bits p
 * times its residual; both lengths are stored rounded up. Divided by a lower bound of the diameter
 * of the values it is a bound of the share. Beyond that, numbers are rounded: see {@link Rounding}.
 *
 * @param epsilon the largest share
 */
record CertifiedSelector(double epsilon) implements Selector {
  /** How much more than its sum a cost counts, for the roundings on the way to it. */
  private static final double COST_SLACK = 1 + 1e-6;

  /** Times that budgets are lowered because one head's tiers raised the cost of another. */
  private static final int MOST_ROUNDS = 40;

  /** Where a token's value is read from, the best last. */
  private enum Tier {
    FAR,
    COARSE,
    FINE
  }

  /** Stretch of each entry's page, residual of each place. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Lengths(double[] stretch, double[] residual) {
    /**
     * The tier below {@link Tier#FINE} that costs least. Only where the residual is less than the
     * stretch are 4 bits better than the mean; a page of one token, say, has none to speak of.
     */
    Tier closest(int place) {
      return residual[place] < stretch[place / KvStorage.PAGE_TOKENS] ? Tier.COARSE : Tier.FAR;
    }

    double closestCost(int place) {
      return Math.min(residual[place], stretch[place / KvStorage.PAGE_TOKENS]);
    }

    /** What tiers may change of the output of a head. */
    double cost(Tier[] tiers, double[] weights) {
      double cost = 0;
      for (int e = 0; e < stretch.length; e++) {
        double squares = 0;
        for (int place = Visible.place(e, 0); place < Visible.place(e + 1, 0); place++) {
          switch (tiers[place]) {
            case FAR -> squares += weights[place] * weights[place];
            case COARSE -> cost += weights[place] * residual[place];
            case FINE -> {}
          }
        }
        cost += Math.sqrt(squares) * stretch[e];
      }
      return cost;
    }
  }

  @Override
  public void select(Sight sight, PageSelection.Slice slice) {
    double diameter = sight.diameter();
    double[][] scores = sight.exactScores();
    double rounding = rounding(sight, scores, diameter);
    if (!(diameter > 0 && rounding < epsilon)) {
      Selector.readAll(sight.visible(), slice);
      return;
    }
    float[] rounded = new float[scores.length * sight.visible().span()];
    double[][] weights = new double[scores.length][];
    for (int h = 0; h < scores.length; h++) {
      round(scores[h], rounded, h * scores[h].length);
      weights[h] = probabilities(sight, scores[h]);
    }
    Lengths lengths = lengths(sight);
    Tier[] tiers = divide(sight, weights, lengths, (epsilon - rounding) * diameter / COST_SLACK);
    write(sight.visible(), tiers, slice);
    slice.setScores(rounded, sight.visible().span());
    slice.openFar();
    for (int h = 0; h < scores.length; h++) {
      slice.farLog()[h] = (float) sight.largest(scores[h]);
      Selector.sumFar(sight, slice, h, sight.weights(scores[h], slice.farLog()[h]));
      double cost = lengths.cost(tiers, weights[h]) * COST_SLACK;
      slice.bound()[h] = Math.nextUp((float) (cost / diameter + rounding));
    }
  }

  /** Tiers that no head pays more for than {@code limit}. */
  private static Tier[] divide(Sight sight, double[][] weights, Lengths lengths, double limit) {
    double[] budgets = new double[weights.length];
    Arrays.fill(budgets, limit);
    for (int round = 0; round < MOST_ROUNDS; round++) {
      Tier[] tiers = new Tier[sight.visible().span()];
      Arrays.fill(tiers, Tier.FAR);
      for (int h = 0; h < weights.length; h++) {
        raise(tiers, tiers(sight, weights[h], lengths, budgets[h]));
      }
      boolean kept = true;
      for (int h = 0; h < weights.length; h++) {
        double cost = lengths.cost(tiers, weights[h]);
        if (!(cost <= limit)) {
          kept = false;
          budgets[h] *= 0.9 * limit / cost;
        }
      }
      if (kept) {
        return tiers;
      }
    }
    Tier[] whole = new Tier[sight.visible().span()];
    Arrays.fill(whole, Tier.FINE);
    return whole;
  }

  /**
   * What roundings may cost. An output is not longer than the longest value and what the bound and
   * the 4 bits add: three times its length is more than that.
   */
  private static double rounding(Sight sight, double[][] scores, double diameter) {
    double largest = 0;
    for (double[] ofHead : scores) {
      for (double score : ofHead) {
        largest = Math.max(largest, Math.abs(score));
      }
    }
    return Rounding.share(largest, 3 * longest(sight), diameter);
  }

  /** A length that no visible value exceeds: means and stretches of closed pages bound theirs. */
  private static double longest(Sight sight) {
    QuantizedKvStorage kv = sight.kv();
    int size = sight.valueSize();
    float[] value = new float[size];
    double longest = 0;
    for (int e = 0; e < sight.visible().entries(); e++) {
      int page = sight.page(e);
      if (sight.visible().open(e)) {
        for (int t = 0; t < sight.visible().end(e); t++) {
          kv.readValue(sight.layer(), page, t, sight.kvHead(), value, 0);
          longest = Math.max(longest, length(value));
        }
      } else {
        double mean = 127 * Math.sqrt(size) * kv.meanScale(sight.layer(), page, sight.kvHead());
        longest = Math.max(longest, mean + kv.stretch(sight.layer(), page, sight.kvHead()));
      }
    }
    return longest;
  }

  private static double length(float[] x) {
    double squares = 0;
    for (float f : x) {
      squares += (double) f * f;
    }
    return Math.sqrt(squares);
  }

  /** Rounds scores to what the reader gets, and hands them over. */
  private static void round(double[] scores, float[] rounded, int at) {
    for (int i = 0; i < scores.length; i++) {
      rounded[at + i] = (float) scores[i];
      scores[i] = rounded[at + i];
    }
  }

  private static double[] probabilities(Sight sight, double[] scores) {
    double[] weights = sight.weights(scores, sight.largest(scores));
    double total = Arrays.stream(weights).sum();
    return Arrays.stream(weights).map(w -> w / total).toArray();
  }

  private static Lengths lengths(Sight sight) {
    Visible visible = sight.visible();
    Lengths lengths = new Lengths(new double[visible.entries()], new double[visible.span()]);
    for (int e = 0; e < visible.entries(); e++) {
      int page = sight.page(e);
      lengths.stretch[e] = sight.kv().stretch(sight.layer(), page, sight.kvHead());
      for (int t = visible.start(e); t < visible.end(e); t++) {
        lengths.residual[Visible.place(e, t)] =
            sight.kv().residual(sight.layer(), page, t, sight.kvHead());
      }
    }
    return lengths;
  }

  /**
   * The tier of each token for one head. With tokens by ascending weight, the first {@code far} go
   * to the mean and those up to {@code coarse} to 4 bits, if that is closer; among all pairs that
   * the budget allows, the one that reads the fewest bytes.
   */
  private static Tier[] tiers(Sight sight, double[] weights, Lengths lengths, double budget) {
    int[] order = lightestFirst(sight.visible(), weights);
    double[] farCost = new double[order.length + 1];
    double[] coarseCost = new double[order.length + 1];
    double[] squares = new double[sight.visible().entries()];
    for (int i = 0; i < order.length; i++) {
      int entry = order[i] / KvStorage.PAGE_TOKENS;
      double before = Math.sqrt(squares[entry]);
      squares[entry] += weights[order[i]] * weights[order[i]];
      double more = Math.sqrt(squares[entry]) - before;
      farCost[i + 1] = farCost[i] + more * lengths.stretch[entry];
      coarseCost[i + 1] = coarseCost[i] + weights[order[i]] * lengths.closestCost(order[i]);
    }
    int size = sight.valueSize();
    long fewest = Long.MAX_VALUE;
    int bestFar = 0;
    int bestCoarse = 0;
    for (int far = 0; far <= order.length && farCost[far] <= budget; far++) {
      int coarse = lastWithin(coarseCost, far, budget - farCost[far] + coarseCost[far]);
      long bytes =
          (long) (coarse - far) * QuantizedKv.coarseValueBytes(size)
              + (long) (order.length - coarse) * QuantizedKv.valueBytes(size);
      if (bytes < fewest) {
        fewest = bytes;
        bestFar = far;
        bestCoarse = coarse;
      }
    }
    Tier[] tiers = new Tier[weights.length];
    Arrays.fill(tiers, Tier.FINE);
    for (int i = 0; i < bestCoarse; i++) {
      tiers[order[i]] = i < bestFar ? Tier.FAR : lengths.closest(order[i]);
    }
    return tiers;
  }

  /** Places of the tokens that are not forced, by ascending weight, then by position. */
  private static int[] lightestFirst(Visible visible, double[] weights) {
    return IntStream.range(0, weights.length)
        .filter(place -> mayBeLeft(visible, place))
        .boxed()
        .sorted(Comparator.comparingDouble(place -> weights[place]))
        .mapToInt(place -> place)
        .toArray();
  }

  private static boolean mayBeLeft(Visible visible, int place) {
    int entry = place / KvStorage.PAGE_TOKENS;
    int offset = place % KvStorage.PAGE_TOKENS;
    return offset >= visible.start(entry)
        && offset < visible.end(entry)
        && !visible.forced(entry, offset);
  }

  /** The last index from {@code from} on whose sum is at most {@code limit}. */
  private static int lastWithin(double[] sums, int from, double limit) {
    int at = Arrays.binarySearch(sums, from, sums.length, limit);
    int last = at < 0 ? -at - 2 : at;
    while (last + 1 < sums.length && sums[last + 1] <= limit) {
      last++;
    }
    return Math.max(from, last);
  }

  /** A token gets the best tier that a head wants. */
  private static void raise(Tier[] tiers, Tier[] wanted) {
    for (int i = 0; i < tiers.length; i++) {
      tiers[i] = wanted[i].compareTo(tiers[i]) > 0 ? wanted[i] : tiers[i];
    }
  }

  private static void write(Visible visible, Tier[] tiers, PageSelection.Slice slice) {
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        switch (tiers[Visible.place(e, t)]) {
          case FINE -> Selector.mark(slice.fine(), e, t);
          case COARSE -> Selector.mark(slice.coarse(), e, t);
          case FAR -> {}
        }
      }
    }
  }
}
