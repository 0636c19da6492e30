package dev.jacquard.kernels;

import java.util.Arrays;

/**
 * The keys and values that a sequence sees in one group of layers: a list of (page, first position,
 * number of tokens), by ascending position, without overlap. Pages may be partly filled anywhere,
 * so nothing divides a position by the page size. Reused from step to step; one writer.
 */
public final class KvView {
  private int size;
  private int[] pages = new int[16];
  private int[] firstPositions = new int[16];
  private int[] lengths = new int[16];
  private boolean[] pins = new boolean[16];

  /** An empty view. */
  public KvView() {}

  /** Forgets all entries. */
  public void clear() {
    size = 0;
  }

  /**
   * Appends {@code length} tokens of {@code page}, the first of them at {@code firstPosition}.
   *
   * @param pinned whether they are read in 8 bits whatever the class of exactness
   */
  public void add(int page, int firstPosition, int length, boolean pinned) {
    if (size == pages.length) {
      pages = Arrays.copyOf(pages, 2 * size);
      firstPositions = Arrays.copyOf(firstPositions, 2 * size);
      lengths = Arrays.copyOf(lengths, 2 * size);
      pins = Arrays.copyOf(pins, 2 * size);
    }
    pages[size] = page;
    firstPositions[size] = firstPosition;
    lengths[size] = length;
    pins[size] = pinned;
    size++;
  }

  /** Number of entries. */
  public int size() {
    return size;
  }

  /** Page number of entry {@code i}. */
  public int page(int i) {
    return pages[i];
  }

  /** Position of the first token of entry {@code i}, which lies at offset 0 of its page. */
  public int firstPosition(int i) {
    return firstPositions[i];
  }

  /** Whether the tokens of entry {@code i} are always read in 8 bits. */
  public boolean pinned(int i) {
    return pins[i];
  }

  /** Number of tokens of entry {@code i}, 1 to {@link KvStorage#PAGE_TOKENS}. */
  public int length(int i) {
    return lengths[i];
  }
}
