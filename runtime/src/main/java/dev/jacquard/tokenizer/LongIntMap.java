package dev.jacquard.tokenizer;

import java.util.Arrays;

/** A map from non-negative {@code long} to non-negative {@code int}: open addressing. */
final class LongIntMap {
  /** What {@link #get} returns for a key that is not there. */
  static final int NONE = -1;

  private static final long FREE = -1;

  private long[] keys;
  private int[] values;
  private int size;

  /** Room for {@code expected} entries; it grows where needed. */
  LongIntMap(int expected) {
    int slots = Integer.highestOneBit(Math.max(8, expected)) << 2;
    keys = new long[slots];
    values = new int[slots];
    Arrays.fill(keys, FREE);
  }

  int get(long key) {
    int slot = slot(key);
    return keys[slot] == key ? values[slot] : NONE;
  }

  /** Adds the pair unless the key is there already. */
  void putIfAbsent(long key, int value) {
    if (size * 2 >= keys.length) {
      grow();
    }
    int slot = slot(key);
    if (keys[slot] == FREE) {
      keys[slot] = key;
      values[slot] = value;
      size++;
    }
  }

  /** Slot of the key, or the free one where it belongs. */
  private int slot(long key) {
    int mask = keys.length - 1;
    int slot = Hashing.spread(key) & mask;
    while (keys[slot] != key && keys[slot] != FREE) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private void grow() {
    long[] oldKeys = keys;
    int[] oldValues = values;
    keys = new long[oldKeys.length * 2];
    values = new int[oldKeys.length * 2];
    Arrays.fill(keys, FREE);
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldKeys[i] != FREE) {
        int slot = slot(oldKeys[i]);
        keys[slot] = oldKeys[i];
        values[slot] = oldValues[i];
      }
    }
  }
}
