package dev.jacquard.kernels;

/**
 * A named place for activations: a float32 matrix of one row per {@code domain} row of the step and
 * {@code width} columns. Two slots of one program are the same place exactly if they are equal.
 *
 * @param name unique in its program, as {@code "residual"}
 * @param width columns
 * @param domain which rows of the step it has
 */
public record Slot(String name, int width, Domain domain) {
  /** Which rows of a step a slot has. */
  public enum Domain {
    /** One row for every row of the step. */
    ALL,
    /** One row for every row of the step whose output is wanted, in the order of the step. */
    OUTPUT
  }

  /** Checks. */
  public Slot {
    if (width <= 0) {
      throw new IllegalArgumentException("slot " + name + " has width " + width);
    }
  }
}
