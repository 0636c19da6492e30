package dev.jacquard.tokenizer;

import java.util.Arrays;

/** A priority queue of {@code long}, smallest first: a heap with four children to a node. */
final class MergeQueue {
  private long[] heap = new long[64];
  private int size;
  private long additions;

  boolean isEmpty() {
    return size == 0;
  }

  /** How many values were ever added: a measure of the work done. */
  long additions() {
    return additions;
  }

  void add(long value) {
    if (size == heap.length) {
      heap = Arrays.copyOf(heap, size * 2);
    }
    int hole = size++;
    while (hole > 0 && heap[(hole - 1) >> 2] > value) {
      heap[hole] = heap[(hole - 1) >> 2];
      hole = (hole - 1) >> 2;
    }
    heap[hole] = value;
    additions++;
  }

  /** Removes and returns the smallest; the queue must not be empty. */
  long poll() {
    long smallest = heap[0];
    long last = heap[--size];
    int hole = 0;
    for (int child = 1; child < size; child = 4 * hole + 1) {
      int best = child;
      int end = Math.min(child + 4, size);
      for (int i = child + 1; i < end; i++) {
        if (heap[i] < heap[best]) {
          best = i;
        }
      }
      if (heap[best] >= last) {
        break;
      }
      heap[hole] = heap[best];
      hole = best;
    }
    heap[hole] = last;
    return smallest;
  }
}
