package dev.jacquard.kernels.vector;

/**
 * A part of the information on a matrix, read in place of it: an estimate of every product with one
 * row of activations, and how large the product can be at most.
 */
interface CoarsePlane {
  /** Bytes that a pass over all tiles reads. */
  long bytes();

  /**
   * Prepares a row of activations, which must stay as it is until the passes over it are done.
   *
   * @return false if it holds numbers for which no bound can be given
   */
  boolean ask(float[] activations);

  /**
   * Writes {@code upper[i]} for the outputs i of tiles {@code firstTile} to {@code lastTile} − 1:
   * no less than the product that the matrix' own kernel computes, its rounding included. It is NaN
   * or infinite where the matrix is. Calls for disjoint tiles may run at the same time.
   *
   * @param sigmas 0 for a bound that is proved; else what is left out is taken to be at most so
   *     many standard deviations
   * @param upper rounded up to whole tiles
   */
  void scan(int firstTile, int lastTile, float sigmas, float[] upper);
}
