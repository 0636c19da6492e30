package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.PackedMatrix.TILE;

/** Chooses the rows with the largest numbers; of equal ones the first. */
final class BestRows {
  /** A heap whose root is the worst of the best: numbers in order above, row below. */
  private long[] heap = new long[0];

  /**
   * Writes the {@code wanted} rows with the largest numbers, in any order, to {@code ids} and
   * returns how many there are.
   *
   * @param numbers none is NaN; rows of whole tiles
   * @param tileMax the largest number of each tile
   */
  int choose(float[] numbers, float[] tileMax, int wanted, int[] ids) {
    if (heap.length < wanted) {
      heap = new long[wanted];
    }
    int size = 0;
    for (int tile = 0; tile < tileMax.length; tile++) {
      if (size == wanted && key(tileMax[tile], 0) < heap[0]) {
        continue;
      }
      for (int i = tile * TILE; i < (tile + 1) * TILE; i++) {
        if (numbers[i] == Float.NEGATIVE_INFINITY) {
          continue; // beyond the last row
        }
        long key = key(numbers[i], i);
        if (size < wanted) {
          heap[size] = key;
          siftUp(size++);
        } else if (key > heap[0]) {
          heap[0] = key;
          siftDown(size);
        }
      }
    }
    for (int i = 0; i < size; i++) {
      ids[i] = Integer.MAX_VALUE - (int) heap[i];
    }
    return size;
  }

  private static long key(float number, int row) {
    int bits = Float.floatToRawIntBits(number + 0f);
    int ordered = bits ^ ((bits >> 31) & Integer.MAX_VALUE);
    return ((long) ordered << 32) | (Integer.MAX_VALUE - row);
  }

  private void siftUp(int at) {
    int child = at;
    while (child > 0 && heap[child] < heap[(child - 1) / 2]) {
      swap(child, (child - 1) / 2);
      child = (child - 1) / 2;
    }
  }

  private void siftDown(int size) {
    int parent = 0;
    for (int child = 1; child < size; child = 2 * parent + 1) {
      if (child + 1 < size && heap[child + 1] < heap[child]) {
        child++;
      }
      if (heap[parent] <= heap[child]) {
        return;
      }
      swap(parent, child);
      parent = child;
    }
  }

  private void swap(int a, int b) {
    long key = heap[a];
    heap[a] = heap[b];
    heap[b] = key;
  }
}
