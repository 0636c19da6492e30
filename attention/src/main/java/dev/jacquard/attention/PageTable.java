package dev.jacquard.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvView;
import java.util.Arrays;
import java.util.BitSet;

/**
 * The pages that one sequence holds in one group, by ascending position: entries {@code start} to
 * {@code end − 1} of three arrays. All but the last are followed directly by the next; any may be
 * partly filled.
 */
final class PageTable {
  private final PagePool pool;
  private int[] pages = new int[8];
  private int[] firstPositions = new int[8];
  private int[] lengths = new int[8];
  private int start;
  private int end;

  PageTable(PagePool pool) {
    this.pool = pool;
  }

  /** A second table that holds the same pages. */
  PageTable fork() {
    PageTable copy = new PageTable(pool);
    copy.pages = pages.clone();
    copy.firstPositions = firstPositions.clone();
    copy.lengths = lengths.clone();
    copy.start = start;
    copy.end = end;
    for (int i = start; i < end; i++) {
      pool.retain(pages[i]);
    }
    return copy;
  }

  /**
   * Pages that appending the tokens at {@code from} to {@code to − 1} takes from the pool.
   *
   * @param starts positions that begin a page
   */
  int pagesNeeded(int from, int to, BitSet starts) {
    int needed = 0;
    int at = from;
    if (starts.get(from)) {
      needed += closingCopies() ? 1 : 0;
    } else if (room() > 0) {
      needed += pool.isShared(pages[end - 1]) ? 1 : 0;
      at = Math.min(nextStart(starts, from + 1, to), from + room());
    }
    return needed + pagesOf(at, to, starts);
  }

  /** Pages that the tokens at {@code from} to {@code to − 1} fill if the first begins one. */
  static int pagesOf(int from, int to, BitSet starts) {
    int pages = 0;
    for (int at = from; at < to; ) {
      int next = nextStart(starts, at + 1, to);
      pages += (next - at + PAGE_TOKENS - 1) / PAGE_TOKENS;
      at = next;
    }
    return pages;
  }

  private static int nextStart(BitSet starts, int from, int to) {
    int next = starts.nextSetBit(from);
    return next < 0 ? to : Math.min(next, to);
  }

  private int room() {
    return start == end ? 0 : PAGE_TOKENS - lengths[end - 1];
  }

  /** Whether the last page must be copied before its summary can be shortened. */
  private boolean closingCopies() {
    return isLastStale() && pool.isShared(pages[end - 1]);
  }

  private boolean isLastStale() {
    return start < end && pool.isStale(pages[end - 1], lengths[end - 1]);
  }

  /**
   * Makes a place for the token at {@code position}; the pool must have the pages.
   *
   * @param startsPage whether it begins a page though the last one has room
   */
  void append(int position, boolean startsPage) {
    if (startsPage) {
      close();
    }
    if (startsPage || room() == 0) {
      addPage(pool.take(), position);
    } else if (pool.isShared(pages[end - 1])) {
      pages[end - 1] = pool.copyOnWrite(pages[end - 1], lengths[end - 1]);
    }
    pool.writing(pages[end - 1], lengths[end - 1]++);
  }

  /** Sees to it that the summary of the last page speaks of what this sequence has there. */
  private void close() {
    if (isLastStale()) {
      if (pool.isShared(pages[end - 1])) {
        pages[end - 1] = pool.copyOnWrite(pages[end - 1], lengths[end - 1]);
      }
      pool.summarise(pages[end - 1], lengths[end - 1]);
    }
  }

  private void addPage(int page, int firstPosition) {
    if (end == pages.length) {
      int live = end - start;
      int capacity = live > end / 2 ? 2 * end : end;
      pages = moved(pages, capacity);
      firstPositions = moved(firstPositions, capacity);
      lengths = moved(lengths, capacity);
      start = 0;
      end = live;
    }
    pages[end] = page;
    firstPositions[end] = firstPosition;
    lengths[end] = 0;
    end++;
  }

  /** The live entries at the beginning of an array of the given capacity. */
  private int[] moved(int[] entries, int capacity) {
    return Arrays.copyOf(Arrays.copyOfRange(entries, start, end), capacity);
  }

  /** Page of the token that was appended last. */
  int lastPage() {
    return pages[end - 1];
  }

  /** Offset, in its page, of the token that was appended last. */
  int lastOffset() {
    return lengths[end - 1] - 1;
  }

  /** Whether every position from {@code from} to {@code to − 1} is held. */
  boolean holds(int from, int to) {
    return from >= to || (start < end && firstPositions[start] <= from);
  }

  /** Forgets positions from {@code length} on. */
  void truncate(int length) {
    while (start < end && firstPositions[end - 1] >= length) {
      pool.release(pages[--end]);
    }
    if (start < end) {
      lengths[end - 1] = Math.min(lengths[end - 1], length - firstPositions[end - 1]);
    }
  }

  /** Lets pages go that hold no position from {@code first} on. */
  void releaseBefore(int first) {
    while (start < end && firstPositions[start] + lengths[start] <= first) {
      pool.release(pages[start++]);
    }
  }

  /** Writes all entries to {@code view}; those with a pinned position are pinned. */
  void copyTo(KvView view, BitSet pins) {
    view.clear();
    int pin = -1;
    for (int i = start; i < end; i++) {
      if (pin < firstPositions[i]) {
        pin = next(pins, firstPositions[i]);
      }
      view.add(pages[i], firstPositions[i], lengths[i], pin < firstPositions[i] + lengths[i]);
    }
  }

  private static int next(BitSet pins, int from) {
    int next = pins.nextSetBit(from);
    return next < 0 ? Integer.MAX_VALUE : next;
  }

  /** Writes the entries that have a position from {@code from} on to {@code view}. */
  void copyFrom(int from, KvView view) {
    view.clear();
    int i = end;
    while (i > start && firstPositions[i - 1] + lengths[i - 1] > from) {
      i--;
    }
    for (; i < end; i++) {
      view.add(pages[i], firstPositions[i], lengths[i], false);
    }
  }
}
