package dev.jacquard.kernels;

import java.util.List;

/**
 * Pages of keys and values in the memory of a backend, in a layout of its own. A page of a group
 * holds {@link #PAGE_TOKENS} consecutive tokens for every layer of the group. Who owns which page,
 * reference counts and free lists are the cache's business (room {@code attention}); this is only
 * the memory.
 *
 * <p>Used by one thread at a time, but for {@link #write}s of different tokens or layers and {@link
 * #summarise}s of different groups, which may run at once.
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

  /**
   * Rounds and stores the keys and values of one token of a layer, all heads, as {@link Op.WriteKv}
   * does; keys are turned already.
   */
  void write(
      int layer, int page, int offset, float[] keys, int keysAt, float[] values, int valuesAt);

  /** Reads one key of one head to {@code target[at …]}, as attention would. */
  void readKey(int layer, int page, int offset, int head, float[] target, int at);

  /** Reads one value of one head to {@code target[at …]}, as attention would (8 bits). */
  void readValue(int layer, int page, int offset, int head, float[] target, int at);

  /**
   * Sees to it that the page means of {@code page} speak of its first {@code tokens} tokens and no
   * others, in every layer of the group. {@link Op.WriteKv} keeps them up to date by itself;
   * whoever {@link #write}s, or shortens a page for good, calls this. Does nothing where there are
   * none.
   */
  void summarise(int group, int page, int tokens);

  /**
   * Gives the heads of a layer their bases: keys are sketched from now on, and those that are
   * stored are sketched now. For layers without a window in format {@link KvFormat#Q8}.
   *
   * @param bases one for each key/value head
   */
  void sketch(int layer, List<SketchBasis> bases);

  /** Whether the keys of a layer are sketched. */
  boolean sketched(int layer);

  /** Bytes of memory that a page of {@code group} takes, all layers together. */
  default long pageBytes(int group) {
    return Math.round(PAGE_TOKENS * spec().tokenBytes(group, format()));
  }

  /** Frees the memory. Closing twice does nothing. */
  @Override
  void close();
}
