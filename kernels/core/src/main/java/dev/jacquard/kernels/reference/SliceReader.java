package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.PageSelection;
import java.util.Arrays;

/** Attention of a row's query heads over the tokens that a slice names, each in its own way. */
record SliceReader(Sight sight, PageSelection.Slice slice) {
  /**
   * What weights are relative to, for each head: the largest logarithm of a weight that enters; NaN
   * if one is no number.
   */
  double[] logs(double[][] scores) {
    Visible visible = sight.visible();
    double[] largest = new double[scores.length];
    Arrays.fill(largest, Double.NEGATIVE_INFINITY);
    for (int h = 0; h < scores.length; h++) {
      for (int e = 0; e < visible.entries(); e++) {
        for (int t = visible.start(e); t < visible.end(e); t++) {
          if (read(e, t)) {
            largest[h] = Math.max(largest[h], scores[h][Visible.place(e, t)]);
          }
        }
        if (far(h, e) > 0) {
          largest[h] = Math.max(largest[h], slice.farLog()[h] + Math.log(far(h, e)));
        }
      }
    }
    return largest;
  }

  /** Exact scores of the tokens that are read by themselves. */
  double[][] scores() {
    Visible visible = sight.visible();
    double[][] scores = new double[slice.heads()][visible.span()];
    float[] given = slice.scores();
    float[] key = new float[sight.queries().size()];
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        int place = Visible.place(e, t);
        if (given != null) {
          for (int h = 0; h < slice.heads(); h++) {
            scores[h][place] = given[h * slice.scoreStride() + place];
          }
        } else if (read(e, t)) {
          sight.kv().readKey(sight.layer(), sight.page(e), t, sight.kvHead(), key, 0);
          for (int h = 0; h < slice.heads(); h++) {
            scores[h][place] = sight.queries().score(h, key);
          }
        }
      }
    }
    return scores;
  }

  /** Sums values by weight: tokens by ascending position, after those of a page its mean. */
  WeightedSums sums(double[][] scores, double[] logs) {
    Visible visible = sight.visible();
    float[] value = new float[sight.valueSize()];
    WeightedSums sums = new WeightedSums(slice.heads(), value.length);
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        if (read(e, t)) {
          readValue(e, t, value);
          for (int h = 0; h < slice.heads(); h++) {
            sums.add(h, Math.exp(scores[h][Visible.place(e, t)] - logs[h]), value);
          }
        }
      }
      for (int h = 0; h < slice.heads(); h++) {
        if (far(h, e) > 0) {
          sight.kv().readMean(sight.layer(), sight.page(e), sight.kvHead(), value, 0);
          sums.add(h, far(h, e) * Math.exp(slice.farLog()[h] - logs[h]), value);
        }
      }
    }
    return sums;
  }

  private boolean read(int entry, int offset) {
    return Selector.marked(slice.fine(), entry, offset)
        || Selector.marked(slice.coarse(), entry, offset);
  }

  private void readValue(int entry, int offset, float[] value) {
    int page = sight.page(entry);
    if (Selector.marked(slice.fine(), entry, offset)) {
      sight.kv().readValue(sight.layer(), page, offset, sight.kvHead(), value, 0);
    } else {
      sight.kv().readCoarseValue(sight.layer(), page, offset, sight.kvHead(), value, 0);
    }
  }

  private double far(int head, int entry) {
    return slice.hasFar() ? slice.far()[head * slice.entries() + entry] : 0;
  }
}
