package dev.jacquard.tokenizer;

import java.util.Arrays;

/** A growing list of {@code int}. */
final class IntList {
  private int[] values = new int[64];
  private int size;

  void add(int value) {
    if (size == values.length) {
      values = Arrays.copyOf(values, Math.max(size, Math.addExact(size, size >> 1)));
    }
    values[size++] = value;
  }

  int[] toArray() {
    return Arrays.copyOf(values, size);
  }
}
