package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.ErrorAudit;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.PageSelection;

/**
 * What the samples of VERIFIED say of one slice: they correct its sums without bias, and their
 * spread bounds the error that is left. With {@code r = exp(exact score − estimated score)} of a
 * sampled token, {@code x = r·v − mean of its page} and {@code y = r − 1} are what its part of the
 * numerator and the denominator lacks, for each unit of estimated weight.
 */
record Audit(Sight sight, PageSelection.Slice slice, Exactness.Verified wanted) {

  /**
   * Corrects the sums and writes the bounds.
   *
   * @param logs what the sums are relative to, for each head
   * @return whether every head has the promised error
   */
  boolean correct(WeightedSums sums, double[] logs) {
    boolean kept = true;
    for (int h = 0; h < slice.heads(); h++) {
      double bound = correct(h, sums, logs[h]);
      slice.bound()[h] = Math.nextUp((float) bound);
      kept &= bound <= wanted.epsilon() && sums.weight(h) > 0;
    }
    return kept;
  }

  private double correct(int head, WeightedSums sums, double log) {
    int n = slice.samples();
    double weight = Math.exp(slice.sampledLog()[head] - log);
    double[][] x = new double[n][sight.valueSize()];
    double[] y = new double[n];
    double largest = 0;
    for (int i = 0; i < n; i++) {
      largest = Math.max(largest, sample(head, i, x, y));
    }
    for (int i = 0; i < n; i++) {
      sums.add(head, weight / n, x[i], y[i]);
    }
    double length = 0;
    for (int c = 0; c < sight.valueSize(); c++) {
      double mean = sums.mean(head, c);
      length += mean * mean;
      for (int i = 0; i < n; i++) {
        x[i][c] -= mean * y[i];
      }
    }
    double error = weight / sums.weight(head) * Math.sqrt(varianceOfMean(x));
    double diameter = sight.diameter();
    return ErrorAudit.deviations(wanted.delta()) * error / diameter
        + Rounding.share(largest, Math.sqrt(length), diameter);
  }

  /** Computes one sample; returns the larger magnitude of its two scores. */
  private double sample(int head, int i, double[][] x, double[] y) {
    int place = slice.sampleToken()[head * slice.samples() + i];
    int page = sight.page(place / QuantizedKvStorage.PAGE_TOKENS);
    int offset = place % QuantizedKvStorage.PAGE_TOKENS;
    float[] key = new float[sight.queries().size()];
    float[] value = new float[sight.valueSize()];
    float[] mean = new float[sight.valueSize()];
    sight.kv().readKey(sight.layer(), page, offset, sight.kvHead(), key, 0);
    sight.kv().readValue(sight.layer(), page, offset, sight.kvHead(), value, 0);
    sight.kv().readMean(sight.layer(), page, sight.kvHead(), mean, 0);
    double exact = sight.queries().score(head, key);
    double estimated = slice.sampleLog()[head * slice.samples() + i];
    double ratio = Math.exp(exact - estimated);
    for (int c = 0; c < value.length; c++) {
      x[i][c] = ratio * value[c] - mean[c];
    }
    y[i] = ratio - 1;
    return Math.max(Math.abs(exact), Math.abs(estimated));
  }

  /** The variance of the mean of some vectors: that of their length, estimated from them. */
  private static double varianceOfMean(double[][] vectors) {
    int n = vectors.length;
    double squares = 0;
    for (int c = 0; c < vectors[0].length; c++) {
      double mean = 0;
      for (double[] vector : vectors) {
        mean += vector[c] / n;
      }
      for (double[] vector : vectors) {
        squares += (vector[c] - mean) * (vector[c] - mean);
      }
    }
    return squares / ((double) n * (n - 1));
  }
}
