package dev.jacquard.kernels;

/**
 * The pages whose values lie farthest from their means, by the spread that {@link QuantizedKv}
 * keeps. The largest distance between two of their tokens is a lower bound of the diameter of all
 * values, and on real heads hardly less: what is far out on different sides stands in such pages.
 * One thread.
 */
public final class WidestPages {
  /** Pages that are kept. */
  public static final int COUNT = 4;

  private final int[] entries = new int[COUNT];
  private final float[] spreads = new float[COUNT];
  private int size;
  private float largest;

  /** No page yet. */
  public WidestPages() {}

  /** Forgets all. */
  public void clear() {
    size = 0;
    largest = 0;
  }

  /** Looks at a page. Of pages with the same spread, those that were offered first are kept. */
  public void offer(int entry, float spread) {
    largest = Math.max(largest, spread);
    int at = size;
    while (at > 0 && spread > spreads[at - 1]) {
      at--;
    }
    if (at == COUNT) {
      return;
    }
    size = Math.min(size + 1, COUNT);
    for (int i = size - 1; i > at; i--) {
      entries[i] = entries[i - 1];
      spreads[i] = spreads[i - 1];
    }
    entries[at] = entry;
    spreads[at] = spread;
  }

  /** Pages that are kept, at most {@link #COUNT}. */
  public int size() {
    return size;
  }

  /** A page that is kept, by descending spread. */
  public int entry(int i) {
    return entries[i];
  }

  /** The largest spread; 0 without a page, NaN if one is. */
  public float largest() {
    return largest;
  }
}
