package dev.jacquard.kernels.reference;

import java.util.Arrays;

/** Softmax attention of some query heads over everything that a row sees, in any format. */
record WholeReader(ReferenceKvStorage kv, int layer, int kvHead, Visible visible, Queries queries) {
  /** Reads keys, then values, by ascending position. */
  WeightedSums read() {
    int heads = queries.count();
    double[][] scores = new double[heads][visible.tokens()];
    double[] largest = new double[heads];
    Arrays.fill(largest, Double.NEGATIVE_INFINITY);
    float[] key = new float[queries.size()];
    int i = 0;
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++, i++) {
        kv.readKey(layer, visible.view().page(e), t, kvHead, key, 0);
        for (int h = 0; h < heads; h++) {
          scores[h][i] = queries.score(h, key);
          largest[h] = Math.max(largest[h], scores[h][i]);
        }
      }
    }
    float[] value = new float[kv.layer(layer).valueSize()];
    WeightedSums sums = new WeightedSums(heads, value.length);
    i = 0;
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++, i++) {
        kv.readValue(layer, visible.view().page(e), t, kvHead, value, 0);
        for (int h = 0; h < heads; h++) {
          sums.add(h, Math.exp(scores[h][i] - largest[h]), value);
        }
      }
    }
    return sums;
  }
}
