package dev.jacquard.attention;

import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.StepInputs;

/**
 * One sequence of tokens in a {@link KvCache}. Positions run from 0. Pages are reference-counted: a
 * {@link #fork} shares them and copies a page only when one of the owners writes to it.
 */
public interface KvSequence extends AutoCloseable {
  /** Tokens that are cached: the position of the next one. */
  int length();

  /**
   * Adds a sequence to {@code inputs} with one row for each of {@code tokens[from … to)}, at the
   * next positions; reserves their places in every group, and fills the views with what {@code
   * policy} wants read. The rows are part of the sequence from now on.
   *
   * @param outputs how many of these rows, counted from the last, want their output
   * @throws KvCacheFullException if there is no memory for the pages; the sequence is unchanged
   */
  void append(
      StepInputs inputs, int[] tokens, int from, int to, int outputs, AttentionPolicy policy);

  /**
   * Reserves places for {@code count} further tokens, which are part of the sequence from now on.
   * Instead of a step, the caller computes their keys and values: it {@link
   * dev.jacquard.kernels.KvStorage#write}s them to the storage and then has each of the pages
   * {@link dev.jacquard.kernels.KvStorage#summarise}d. A group with a window holds only as many of
   * the last tokens as {@link #append} would have left of them.
   *
   * @param places by group, overwritten with the pages that hold tokens of these, whole pages from
   *     their first token on
   * @throws KvCacheFullException if there is no memory for the pages; the sequence is unchanged
   */
  void insert(int count, KvView[] places);

  /**
   * Has the token at {@code position} begin a page in every group, whatever room there is before
   * it: so pages never hold tokens of two files. The page before it is then complete, partly filled
   * or not, and its summary speaks of its tokens alone.
   *
   * @param position from {@link #length} on; {@link #truncate} to a position before it forgets this
   * @throws IllegalArgumentException if the token is there already
   */
  void startPage(int position);

  /**
   * Pins positions: the pages that hold them are read in 8 bits whatever the class of exactness.
   * They may be still to come; {@link #truncate} forgets pins from its length on.
   */
  void pin(int from, int to);

  /**
   * Forgets all tokens from position {@code length} on.
   *
   * @throws IllegalArgumentException if that is beyond the end, or if a layer with a window has
   *     already let pages go that would be visible again ({@link #canTruncate})
   */
  void truncate(int length);

  /** Whether {@link #truncate} to {@code length} is possible: windowed layers let old pages go. */
  boolean canTruncate(int length);

  /**
   * A second sequence with the same content, which goes its own way from here. Called between
   * steps: rows that were appended but not run yet have no content to share.
   */
  KvSequence fork();

  /** Gives its pages back. Twice does nothing. */
  @Override
  void close();
}
