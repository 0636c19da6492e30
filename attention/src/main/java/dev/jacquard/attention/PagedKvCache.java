package dev.jacquard.attention;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import java.util.BitSet;
import java.util.List;

/**
 * Keys and values in pages of {@link KvStorage#PAGE_TOKENS} tokens (Kwon et al. 2023, arXiv
 * 2309.06180), reference-counted for each group of layers.
 *
 * <p>Pages are made in steps: as many as there are, but at least 16 and at most 256, within the
 * limit. Pages that were given back are used again; their memory stays with the cache until it is
 * closed.
 *
 * <p>A layer with a window lets a page go once all its tokens lie more than {@link #SLACK} before
 * everything that the rows of a step can see. So a sequence can always go back to {@code SLACK}
 * tokens before the first row of its latest step, and to the very beginning.
 */
public final class PagedKvCache implements KvCache {
  /** Tokens that a layer with a window keeps behind its window, so that a sequence can go back. */
  public static final int SLACK = 128;

  private static final int LEAST_STEP = 16;
  private static final int LARGEST_STEP = 256;

  private final KvStorage storage;
  private final int maxPages;
  private final List<Integer> windows;
  private final PagePool[] pools;
  private final KvView live = new KvView();
  private boolean closed;

  /**
   * A cache in {@code storage}, which it owns from now on.
   *
   * @param maxTokens most tokens that each group holds, all sequences together, in whole pages;
   *     pages that sequences share count once
   */
  public PagedKvCache(KvStorage storage, long maxTokens) {
    this.storage = storage;
    maxPages = Math.clamp(pagesFor(maxTokens), 0, Integer.MAX_VALUE);
    windows = storage.spec().groupWindows();
    pools = new PagePool[windows.size()];
    for (int g = 0; g < pools.length; g++) {
      pools[g] = new PagePool(storage, g);
    }
  }

  private static long pagesFor(long tokens) {
    return tokens / PAGE_TOKENS + (tokens % PAGE_TOKENS > 0 ? 1 : 0);
  }

  /**
   * Bytes of pages that one sequence of {@code tokens} tokens takes at most, if it is not cut into
   * files.
   *
   * @param maxRows most rows that a step appends to it
   */
  public static long bytes(KvSpec spec, KvFormat format, int tokens, int maxRows) {
    return bytes(spec, format, tokens, maxRows, 0);
  }

  /**
   * The same if {@code starts} of its tokens begin a page ({@link KvSequence#startPage}): each may
   * leave the page before it almost empty.
   */
  public static long bytes(KvSpec spec, KvFormat format, int tokens, int maxRows, int starts) {
    long bytes = 0;
    List<Integer> windows = spec.groupWindows();
    for (int g = 0; g < windows.size(); g++) {
      int window = windows.get(g);
      // The rows of the latest step are there before pages behind the step before are let go.
      long held = window == 0 ? tokens : Math.min(tokens, (long) window + SLACK + 2L * maxRows);
      long whole = pagesFor(held) + (held < tokens ? 1 : 0);
      long pages = Math.min(whole + Math.min(starts, held), held + (held < tokens ? 1 : 0));
      bytes += Math.round(pages * PAGE_TOKENS * spec.tokenBytes(g, format));
    }
    return bytes;
  }

  @Override
  public KvStorage storage() {
    return storage;
  }

  @Override
  public KvSequence newSequence() {
    requireOpen();
    PageTable[] tables = new PageTable[pools.length];
    for (int g = 0; g < pools.length; g++) {
      tables[g] = new PageTable(pools[g]);
    }
    return new PagedKvSequence(this, tables, 0, new BitSet(), new BitSet());
  }

  @Override
  public long usedBytes() {
    long bytes = 0;
    for (int g = 0; g < pools.length; g++) {
      bytes += pools[g].usedPages() * storage.pageBytes(g);
    }
    return bytes;
  }

  int window(int group) {
    return windows.get(group);
  }

  /** All entries of a table; valid until the next call. */
  KvView live(PageTable table, BitSet pins) {
    table.copyTo(live, pins);
    return live;
  }

  /**
   * Sees to it that the pool of {@code group} has {@code pages} free pages.
   *
   * @throws KvCacheFullException if there is no memory for them; nothing but the number of free
   *     pages has changed then
   */
  void reserve(int group, int pages) {
    int missing = pages - pools[group].freePages();
    if (missing > 0) {
      grow(group, missing);
    }
  }

  private void grow(int group, int missing) {
    int pages = storage.pages(group);
    if (missing > maxPages - pages) {
      throw full(group, missing, "the limit is " + maxPages + " pages");
    }
    int step = Math.max(missing, Math.clamp(pages, LEAST_STEP, LARGEST_STEP));
    try {
      pools[group].grow(Math.min(maxPages - pages, step));
    } catch (BackendException e) {
      KvCacheFullException full = full(group, missing, String.valueOf(e.getMessage()));
      full.initCause(e);
      throw full;
    }
  }

  private KvCacheFullException full(int group, int missing, String reason) {
    return new KvCacheFullException(
        "no room for "
            + missing
            + " more pages of "
            + PAGE_TOKENS
            + " tokens of keys and values ("
            + pools[group].usedPages()
            + " in use): "
            + reason
            + "; close sessions, or open the model with a shorter context");
  }

  void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the cache is closed");
    }
  }

  @Override
  public void close() {
    closed = true;
    storage.close();
  }
}
