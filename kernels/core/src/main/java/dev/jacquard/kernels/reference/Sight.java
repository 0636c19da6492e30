package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.kernels.WidestPages;
import java.util.ArrayList;
import java.util.List;

/**
 * What the query heads of one row see in one key/value head of a cache in 8 bits, and how they
 * score it. Scores are {@code [head][place]} (see {@link Visible}); places that hold no visible
 * token are 0 and mean nothing.
 */
record Sight(QuantizedKvStorage kv, int layer, int kvHead, Visible visible, Queries queries) {
  private static final int WAYS = 3;

  /** Less than the roundings of a sum in double. */
  private static final double ROUNDED_DOWN = 1 - 1e-9;

  /** Page number of an entry. */
  int page(int entry) {
    return visible.view().page(entry);
  }

  /** Numbers of a value. */
  int valueSize() {
    return kv.layer(layer).valueSize();
  }

  /** Exact scores of all visible tokens. */
  double[][] exactScores() {
    double[][] scores = new double[queries.count()][visible.span()];
    float[] key = new float[queries.size()];
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        scoreExactly(e, t, key, scores);
      }
    }
    return scores;
  }

  /**
   * Exact scores of the forced tokens; of the others, scores by sketch, raised by half the variance
   * of the error that sketches make of the forced ones: an exponential's mean is above the
   * exponential of the mean, by so much if errors are normal.
   */
  double[][] estimatedScores() {
    double[][] scores = sketchScores();
    double[][] exact = new double[queries.count()][visible.span()];
    float[] key = new float[queries.size()];
    forEach(true, (e, t) -> scoreExactly(e, t, key, exact));
    for (int h = 0; h < scores.length; h++) {
      double[] ofHead = scores[h];
      double[] truth = exact[h];
      double raise = halfVariance(truth, ofHead);
      forEach(false, (e, t) -> ofHead[Visible.place(e, t)] += raise);
      forEach(true, (e, t) -> ofHead[Visible.place(e, t)] = truth[Visible.place(e, t)]);
    }
    return scores;
  }

  /** Half the variance of the differences of the forced tokens' scores. */
  private double halfVariance(double[] exact, double[] estimated) {
    double[] sums = new double[3];
    forEach(
        true,
        (e, t) -> {
          double error = exact[Visible.place(e, t)] - estimated[Visible.place(e, t)];
          sums[0]++;
          sums[1] += error;
          sums[2] += error * error;
        });
    double mean = sums[1] / sums[0];
    return Math.max(0, sums[2] / sums[0] - mean * mean) / 2;
  }

  /** Receives an entry and an offset. */
  @FunctionalInterface
  private interface Token {
    void at(int entry, int offset);
  }

  private void forEach(boolean forced, Token receiver) {
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        if (visible.forced(e, t) == forced) {
          receiver.at(e, t);
        }
      }
    }
  }

  /** Scores by sketch of all visible tokens. */
  double[][] sketchScores() {
    SketchBasis basis = kv.basis(layer, kvHead);
    double[][] turned = new double[queries.count()][basis.channels()];
    double[] centre = new double[queries.count()];
    for (int h = 0; h < queries.count(); h++) {
      centre[h] = turn(basis, h, turned[h]);
    }
    double[][] scores = new double[queries.count()][visible.span()];
    double[] sketch = new double[basis.channels()];
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        kv.readSketch(layer, page(e), t, kvHead, sketch);
        for (int h = 0; h < queries.count(); h++) {
          double product = centre[h] + dot(turned[h], sketch);
          scores[h][Visible.place(e, t)] = queries.score(product);
        }
      }
    }
    return scores;
  }

  /** Turns a query into the basis; returns its product with the mean of the keys. */
  private double turn(SketchBasis basis, int head, double[] turned) {
    double centre = 0;
    for (int i = 0; i < basis.size(); i++) {
      double q = queries.at(head, i);
      centre += q * basis.mean()[i];
      for (int c = 0; c < turned.length; c++) {
        turned[c] += q * basis.toQuery()[c * basis.size() + i];
      }
    }
    return centre;
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  private void scoreExactly(int entry, int offset, float[] key, double[][] scores) {
    kv.readKey(layer, page(entry), offset, kvHead, key, 0);
    for (int h = 0; h < queries.count(); h++) {
      scores[h][Visible.place(entry, offset)] = queries.score(h, key);
    }
  }

  /** The largest score of a head; NaN if one of them is. */
  double largest(double[] scores) {
    double largest = Double.NEGATIVE_INFINITY;
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        largest = Math.max(largest, scores[Visible.place(e, t)]);
      }
    }
    return largest;
  }

  /** The weights {@code exp(score − log)} of a head's tokens; 0 where there is none. */
  double[] weights(double[] scores, double log) {
    double[] weights = new double[scores.length];
    for (int e = 0; e < visible.entries(); e++) {
      for (int t = visible.start(e); t < visible.end(e); t++) {
        weights[Visible.place(e, t)] = Math.exp(scores[Visible.place(e, t)] - log);
      }
    }
    return weights;
  }

  /**
   * A length that the diameter of the visible values is at least. Among the tokens of the widest
   * closed pages, from the first to the farthest, from there to the farthest, and once more: the
   * longest of these ways. NaN if a value of a closed page is not finite.
   */
  double diameter() {
    WidestPages widest = new WidestPages();
    for (int e = 0; e < visible.entries(); e++) {
      if (!visible.open(e)) {
        widest.offer(e, kv.spread(layer, page(e), kvHead));
      }
    }
    List<float[]> values = new ArrayList<>();
    for (int i = 0; i < widest.size(); i++) {
      int entry = widest.entry(i);
      for (int t = visible.start(entry); t < visible.end(entry); t++) {
        float[] value = new float[valueSize()];
        kv.readValue(layer, page(entry), t, kvHead, value, 0);
        values.add(value);
      }
    }
    double largest = widest.largest();
    int from = 0;
    for (int way = 0; way < WAYS && !values.isEmpty(); way++) {
      int to = 0;
      for (int i = 1; i < values.size(); i++) {
        if (distance(values.get(from), values.get(i))
            > distance(values.get(from), values.get(to))) {
          to = i;
        }
      }
      largest = Math.max(largest, distance(values.get(from), values.get(to)) * ROUNDED_DOWN);
      from = to;
    }
    return largest;
  }

  private static double distance(float[] a, float[] b) {
    double squares = 0;
    for (int i = 0; i < a.length; i++) {
      double difference = (double) a[i] - b[i];
      squares += difference * difference;
    }
    return Math.sqrt(squares);
  }
}
