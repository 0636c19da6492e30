package dev.jacquard.kernels.vector;

/**
 * In which form a kernel reads its activations. A weight belongs to one family, for matrix-vector
 * and matrix-matrix products alike, so that prefill and decode agree bit for bit.
 */
enum ActivationFamily {
  /** As they are. */
  FLOAT,
  /** Rounded to 8 bits in blocks of 32, each with a float scale. */
  EIGHT_BIT
}
