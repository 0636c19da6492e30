package dev.jacquard.attention;

import dev.jacquard.kernels.KvStorage;
import java.util.Arrays;

/** The pages of one group: which are free, and how many sequences hold each of the others. */
final class PagePool {
  private final KvStorage storage;
  private final int group;
  private int[] holders = new int[16];

  /** Tokens of each page that its summary speaks of: those that were written to it last. */
  private int[] written = new int[16];

  private int[] free = new int[16];
  private int freeCount;
  private int known;

  PagePool(KvStorage storage, int group) {
    this.storage = storage;
    this.group = group;
    adopt();
  }

  int freePages() {
    return freeCount;
  }

  int usedPages() {
    return known - freeCount;
  }

  /** Makes {@code more} further pages exist. */
  void grow(int more) {
    storage.grow(group, known + more);
    adopt();
  }

  /** Puts pages that the storage has and we do not know yet on the free list. */
  private void adopt() {
    int pages = storage.pages(group);
    if (pages > holders.length) {
      holders = Arrays.copyOf(holders, Math.max(pages, 2 * holders.length));
      written = Arrays.copyOf(written, holders.length);
      free = Arrays.copyOf(free, holders.length);
    }
    for (int page = pages - 1; page >= known; page--) {
      free[freeCount++] = page;
    }
    known = pages;
  }

  /** A free page, held once; there must be one. */
  int take() {
    int page = free[--freeCount];
    holders[page] = 1;
    written[page] = 0;
    return page;
  }

  /** Takes note that the token at {@code offset} is being written, the last one of its page. */
  void writing(int page, int offset) {
    written[page] = offset + 1;
  }

  /** Whether the summary of a page that ends after {@code tokens} tokens speaks of others too. */
  boolean isStale(int page, int tokens) {
    return written[page] != tokens;
  }

  /** Makes the summary of a page that nobody else holds speak of its first tokens only. */
  void summarise(int page, int tokens) {
    storage.summarise(group, page, tokens);
    written[page] = tokens;
  }

  void retain(int page) {
    holders[page]++;
  }

  void release(int page) {
    if (--holders[page] == 0) {
      free[freeCount++] = page;
    }
  }

  boolean isShared(int page) {
    return holders[page] > 1;
  }

  /** A page of its own with the first {@code tokens} tokens of {@code page}, which is released. */
  int copyOnWrite(int page, int tokens) {
    int copy = take();
    storage.copyPage(group, page, copy, tokens);
    written[copy] = tokens;
    release(page);
    return copy;
  }
}
