package dev.jacquard.tokenizer;

/** Spreads keys over the slots of the tables here. */
final class Hashing {
  private Hashing() {}

  /** A hash whose low bits depend on all bits of the key: multiplication by 2⁶⁴/φ, high half. */
  static int spread(long key) {
    long product = (key ^ (key >>> 32)) * 0x9E3779B97F4A7C15L;
    return (int) (product >>> 32) ^ (int) (product >>> 52);
  }
}
