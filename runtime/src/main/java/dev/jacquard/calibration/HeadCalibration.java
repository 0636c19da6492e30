package dev.jacquard.calibration;

import dev.jacquard.kernels.SketchBasis;

/**
 * Makes the balanced basis of one key/value head from keys and from the queries of all heads that
 * read it. One thread uses it.
 */
public final class HeadCalibration {
  private final Moments keys;
  private final Moments queries;

  /** Nothing yet, of keys of {@code size} values. */
  public HeadCalibration(int size) {
    keys = new Moments(size);
    queries = new Moments(size);
  }

  /** Adds {@code rows} keys, {@code stride} values apart, the first at {@code at}. */
  public void addKeys(float[] values, int at, int stride, int rows) {
    keys.add(values, at, stride, rows);
  }

  /** Adds queries, likewise. */
  public void addQueries(float[] values, int at, int stride, int rows) {
    queries.add(values, at, stride, rows);
  }

  BalancedBasis balance() {
    return BalancedBasis.of(keys, queries);
  }

  /**
   * The basis, with as many bits as a sketch has.
   *
   * @throws CalibrationException if the numbers are not finite, or have no variance
   */
  public SketchBasis basis() {
    return balance().sketch();
  }
}
