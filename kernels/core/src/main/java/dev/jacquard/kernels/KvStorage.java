package dev.jacquard.kernels;

/**
 * Pages of keys and values in the memory of a backend, in a layout of its own. A page of a group
 * holds {@link #PAGE_TOKENS} consecutive tokens for every layer of the group. Who owns which page,
 * reference counts and free lists are the cache's business (room {@code attention}); this is only
 * the memory.
 *
 * <p>Used by one thread at a time.
 */
public interface KvStorage extends AutoCloseable {
  /** Tokens of a page. Views may fill pages partly. */
  int PAGE_TOKENS = 16;

  /** What is remembered. */
  KvSpec spec();

  /** How it is rounded. */
  KvFormat format();

  /** Pages that exist in {@code group}; they are numbered from 0. */
  int pages(int group);

  /**
   * Makes at least {@code pages} pages exist in {@code group}; those that exist keep their content.
   *
   * @throws BackendException if the device has no memory for them
   */
  void grow(int group, int pages);

  /** Copies the first {@code tokens} tokens of page {@code from} to page {@code to}. */
  void copyPage(int group, int from, int to, int tokens);

  /** Bytes of memory that a page of {@code group} takes, all layers together. */
  default long pageBytes(int group) {
    return PAGE_TOKENS * spec().valuesPerToken(group) * format().bytes();
  }

  /** Frees the memory. Closing twice does nothing. */
  @Override
  void close();
}
