package dev.jacquard.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvView;
import java.util.Arrays;

/**
 * The pages that one sequence holds in one group, by ascending position: entries {@code start} to
 * {@code end − 1} of three arrays. All but the last are followed directly by the next.
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

  /** Pages that appending {@code tokens} tokens takes from the pool. */
  int pagesNeeded(int tokens) {
    int room = room();
    int copy = room > 0 && pool.isShared(pages[end - 1]) ? 1 : 0;
    int beyond = Math.max(0, tokens - room);
    return copy + (beyond + PAGE_TOKENS - 1) / PAGE_TOKENS;
  }

  private int room() {
    return start == end ? 0 : PAGE_TOKENS - lengths[end - 1];
  }

  /** Makes a place for the token at {@code position}; the pool must have the pages. */
  void append(int position) {
    if (room() == 0) {
      addPage(pool.take(), position);
    } else if (pool.isShared(pages[end - 1])) {
      pages[end - 1] = pool.copyOnWrite(pages[end - 1], lengths[end - 1]);
    }
    lengths[end - 1]++;
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

  /** Writes all entries to {@code view}. */
  void copyTo(KvView view) {
    view.clear();
    for (int i = start; i < end; i++) {
      view.add(pages[i], firstPositions[i], lengths[i], false);
    }
  }
}
