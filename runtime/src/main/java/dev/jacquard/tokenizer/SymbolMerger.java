package dev.jacquard.tokenizer;

/**
 * Joins neighbouring symbols of a word, the pair of the lowest priority number first and of equals
 * the leftmost, until no pair can be joined. Symbols are numbered from the left; a joined pair goes
 * on under the left number.
 *
 * <p>A queue holds candidates and a linked list holds the symbols that are left, so n symbols cost
 * O(n log n): at most n − 1 candidates to begin with and two more for each of at most n − 1 joins.
 * A candidate that a join has made stale is recognised when it comes up, because its pair has
 * another priority by then or is gone.
 */
abstract class SymbolMerger {
  /** Priority of a pair that cannot be joined. */
  static final long NEVER = Long.MAX_VALUE;

  private static final int END = -1;
  private static final int GONE = -2;

  private final MergeQueue queue;
  private int[] previous = new int[64];
  private int[] next = new int[64];

  SymbolMerger(MergeQueue queue) {
    this.queue = queue;
  }

  /**
   * Priority of joining two neighbours: an {@code int}, or {@link #NEVER}. It must depend on
   * nothing but what the two symbols hold.
   */
  abstract long priority(int left, int right);

  /** Makes {@code left} the joined symbol. */
  abstract void join(int left, int right, int priority);

  /** The symbol after this one, or −1. */
  final int next(int symbol) {
    return next[symbol];
  }

  /** Joins what can be joined among symbols 0 … {@code count} − 1. The first one always remains. */
  final void mergeAll(int count) {
    if (next.length < count) {
      int length = Math.max(count, Math.addExact(next.length, next.length >> 1));
      previous = new int[length];
      next = new int[length];
    }
    for (int i = 0; i < count; i++) {
      previous[i] = i - 1;
      next[i] = i + 1;
    }
    next[count - 1] = END;
    for (int i = 0; i < count - 1; i++) {
      propose(i);
    }
    while (!queue.isEmpty()) {
      long candidate = queue.poll();
      int left = (int) candidate;
      if (candidate(left) == candidate) {
        int right = next[left];
        join(left, right, (int) (candidate >> 32));
        int after = next[right];
        next[left] = after;
        next[right] = GONE;
        if (after != END) {
          previous[after] = left;
          propose(left);
        }
        if (left > 0) {
          propose(previous[left]);
        }
      }
    }
  }

  private void propose(int left) {
    long candidate = candidate(left);
    if (candidate != NEVER) {
      queue.add(candidate);
    }
  }

  /** Priority in the high half, so that it decides, and the left symbol in the low half. */
  private long candidate(int left) {
    int right = next[left];
    if (right < 0) {
      return NEVER;
    }
    long priority = priority(left, right);
    return priority == NEVER ? NEVER : (priority << 32) | left;
  }
}
