package dev.jacquard.calibration;

import dev.jacquard.kernels.SketchBasis;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * How far scores that are estimated from sketches are from the exact ones: the root of the mean
 * square over pairs of queries and keys of a text that the bases were not made from.
 */
final class SketchError {
  /** Every so many keys and queries are looked at. */
  private static final int STRIDE = 8;

  private double squares;
  private long pairs;

  /** Adds the pairs of rows of one step, every query with every key. */
  void add(
      CalibrationSite site,
      List<SketchBasis> bases,
      float[] queries,
      float[] keys,
      int skip,
      int rows) {
    int size = site.spec().keySize();
    for (int head = 0; head < site.spec().heads(); head++) {
      SketchBasis basis = bases.get(head);
      int[] sample = IntStream.range(skip, rows).filter(r -> r % STRIDE == 0).toArray();
      int kv = head;
      int keyWidth = site.key().width();
      double[][] rounded =
          IntStream.of(sample)
              .parallel()
              .mapToObj(r -> SketchCodes.rounded(basis, keys, r * keyWidth + kv * size))
              .toArray(double[][]::new);
      double[] ofQueries =
          IntStream.range(0, sample.length * site.group())
              .parallel()
              .mapToDouble(
                  i -> {
                    int row = sample[i / site.group()];
                    int queryHead = kv * site.group() + i % site.group();
                    int at = row * site.select().query().width() + queryHead * size;
                    return squares(site, basis, queries, at, keys, sample, kv, rounded);
                  })
              .toArray();
      squares += DoubleStream.of(ofQueries).sum(); // in order, whatever the number of threads
      pairs += (long) sample.length * sample.length * site.group();
    }
  }

  private static double squares(
      CalibrationSite site,
      SketchBasis basis,
      float[] queries,
      int at,
      float[] keys,
      int[] sample,
      int head,
      double[][] rounded) {
    int size = site.spec().keySize();
    double[] query = SketchCodes.query(basis, queries, at);
    double mean = SketchCodes.dot(queries, at, basis.mean(), 0, size);
    double sum = 0;
    for (int k = 0; k < sample.length; k++) {
      int keyAt = sample[k] * site.key().width() + head * size;
      double exact = SketchCodes.dot(queries, at, keys, keyAt, size);
      double error = site.select().scale() * (mean + SketchCodes.dot(query, rounded[k]) - exact);
      sum += error * error;
    }
    return sum;
  }

  /** In nats; NaN if there was nothing to compare. */
  double rootMeanSquare() {
    return pairs == 0 ? Double.NaN : Math.sqrt(squares / pairs);
  }
}
