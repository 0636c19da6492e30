package dev.jacquard.calibration;

import dev.jacquard.kernels.SketchBasis;

/** What a sketch makes of a key, and the score that it then estimates. */
final class SketchCodes {
  private SketchCodes() {}

  /** The key's channels as the sketch gives them back. */
  static double[] rounded(SketchBasis basis, float[] keys, int at) {
    int size = basis.size();
    double[] result = new double[basis.channels()];
    for (int c = 0; c < result.length; c++) {
      double x = 0;
      for (int i = 0; i < size; i++) {
        x += basis.toKey()[c * size + i] * (keys[at + i] - (double) basis.mean()[i]);
      }
      int half = 1 << (basis.bits()[c] - 1);
      double code = Math.clamp(Math.floor(x / basis.step()[c]), -half, half - 1.0);
      result[c] = (code + 0.5) * basis.step()[c];
    }
    return result;
  }

  /** The query's channels. */
  static double[] query(SketchBasis basis, float[] queries, int at) {
    int size = basis.size();
    double[] result = new double[basis.channels()];
    for (int c = 0; c < result.length; c++) {
      for (int i = 0; i < size; i++) {
        result[c] += (double) basis.toQuery()[c * size + i] * queries[at + i];
      }
    }
    return result;
  }

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  static double dot(float[] a, int aAt, float[] b, int bAt, int size) {
    double sum = 0;
    for (int i = 0; i < size; i++) {
      sum += (double) a[aAt + i] * b[bAt + i];
    }
    return sum;
  }
}
