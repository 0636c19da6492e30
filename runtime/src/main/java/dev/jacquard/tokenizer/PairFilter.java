package dev.jacquard.tokenizer;

/**
 * The pairs of neighbouring characters in a set of spellings, as one bit for each hash: it may say
 * that a foreign pair is there, never that one of its own is not.
 */
final class PairFilter {
  private final long[] bits;

  /** For about so many spellings. */
  PairFilter(int spellings) {
    bits = new long[Math.max(1, Integer.highestOneBit(spellings) / 4)];
  }

  /** Adds each pair of neighbours. */
  void addAll(String spelling) {
    int before = -1;
    for (int i = 0; i < spelling.length(); ) {
      int character = spelling.codePointAt(i);
      if (before >= 0) {
        int bit = bit(before, character);
        bits[bit >> 6] |= 1L << bit;
      }
      before = character;
      i += Character.charCount(character);
    }
  }

  /** Whether some spelling may hold the pair. */
  boolean mayContain(int left, int right) {
    int bit = bit(left, right);
    return ((bits[bit >> 6] >> bit) & 1) != 0;
  }

  private int bit(int left, int right) {
    return Hashing.spread(((long) left << 32) | right) & (bits.length * 64 - 1);
  }
}
