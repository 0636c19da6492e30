package dev.jacquard.attention;

import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.StepInputs;
import java.util.BitSet;

/** A sequence of a {@link PagedKvCache}: one page table per group. */
final class PagedKvSequence implements KvSequence {
  private final PagedKvCache cache;
  private final PageTable[] tables;

  /** Positions that begin a page in every group. */
  private final BitSet starts;

  /** Positions whose pages are pinned. */
  private final BitSet pins;

  private int length;
  private boolean closed;

  PagedKvSequence(PagedKvCache cache, PageTable[] tables, int length, BitSet starts, BitSet pins) {
    this.cache = cache;
    this.tables = tables;
    this.length = length;
    this.starts = starts;
    this.pins = pins;
  }

  @Override
  public int length() {
    return length;
  }

  @Override
  public void append(
      StepInputs inputs, int[] tokens, int from, int to, int outputs, AttentionPolicy policy) {
    requireOpen();
    int count = to - from;
    if (from < 0 || count <= 0 || to > tokens.length || outputs < 0 || outputs > count) {
      throw new IllegalArgumentException(
          "tokens %d to %d of %d with %d outputs".formatted(from, to, tokens.length, outputs));
    }
    if (count > inputs.maxRows() - inputs.rows()) {
      throw new IllegalArgumentException(
          "%d rows do not fit a step of %d that has %d already"
              .formatted(count, inputs.maxRows(), inputs.rows()));
    }
    int end = Math.addExact(length, count);
    for (int g = 0; g < tables.length; g++) {
      cache.reserve(g, tables[g].pagesNeeded(length, end, starts));
    }

    int first = length;
    int sequence = inputs.addSequence();
    for (int i = from; i < to; i++) {
      int row = inputs.addRow(sequence, length, tokens[i], i >= to - outputs);
      for (int g = 0; g < tables.length; g++) {
        tables[g].append(length, starts.get(length));
        inputs.setWrite(g, row, tables[g].lastPage(), tables[g].lastOffset());
      }
      length++;
    }
    inputs.setExactness(sequence, policy.exactness(length));
    for (int g = 0; g < tables.length; g++) {
      int window = cache.window(g);
      if (window > 0) {
        tables[g].releaseBefore(firstVisible(first, window) - PagedKvCache.SLACK);
      }
      policy.select(cache.live(tables[g], pins), window, first, inputs.view(sequence, g));
    }
  }

  @Override
  public void insert(int count, KvView[] places) {
    requireOpen();
    if (count <= 0 || places.length != tables.length) {
      throw new IllegalArgumentException(
          "%d tokens with %d views for %d groups".formatted(count, places.length, tables.length));
    }
    int end = Math.addExact(length, count);
    for (int g = 0; g < tables.length; g++) {
      int first = firstHeld(g, end);
      cache.reserve(
          g,
          first > length
              ? PageTable.pagesOf(first, end, starts) // and none that is held now stays
              : tables[g].pagesNeeded(length, end, starts));
    }
    for (int g = 0; g < tables.length; g++) {
      int first = firstHeld(g, end);
      if (first > length) {
        tables[g].truncate(0);
      }
      for (int position = first; position < end; position++) {
        tables[g].append(position, starts.get(position));
      }
      tables[g].copyFrom(first, places[g]);
    }
    length = end;
  }

  /** The first of the tokens from {@link #length} to {@code end} that a group holds. */
  private int firstHeld(int group, int end) {
    int window = cache.window(group);
    return window == 0 ? length : Math.max(length, firstVisible(end, window) - PagedKvCache.SLACK);
  }

  @Override
  public void startPage(int position) {
    requireOpen();
    if (position < length) {
      throw new IllegalArgumentException(
          "the token at position %d of %d is there already and cannot begin a page"
              .formatted(position, length));
    }
    starts.set(position);
  }

  @Override
  public void pin(int from, int to) {
    requireOpen();
    if (from < 0 || to < from) {
      throw new IllegalArgumentException("cannot pin positions " + from + " to " + to);
    }
    pins.set(from, to);
  }

  /** The first position that a row at {@code position} sees through a window. */
  private static int firstVisible(int position, int window) {
    return position - window + 1;
  }

  @Override
  public void truncate(int newLength) {
    requireOpen();
    if (!canTruncate(newLength)) {
      throw new IllegalArgumentException(
          "cannot go back from "
              + length
              + " to "
              + newLength
              + " tokens"
              + (newLength < 0 || newLength > length
                  ? ""
                  : ": layers with a window have let go what would be visible again"));
    }
    for (PageTable table : tables) {
      table.truncate(newLength);
    }
    starts.clear(newLength + 1, Math.max(newLength + 1, starts.length()));
    pins.clear(newLength, Math.max(newLength, pins.length()));
    length = newLength;
  }

  @Override
  public boolean canTruncate(int newLength) {
    requireOpen();
    if (newLength < 0 || newLength > length) {
      return false;
    }
    for (int g = 0; g < tables.length; g++) {
      int window = cache.window(g);
      int first = window == 0 ? 0 : Math.max(0, firstVisible(newLength, window));
      if (!tables[g].holds(first, newLength)) {
        return false;
      }
    }
    return true;
  }

  @Override
  public KvSequence fork() {
    requireOpen();
    PageTable[] copies = new PageTable[tables.length];
    for (int g = 0; g < tables.length; g++) {
      copies[g] = tables[g].fork();
    }
    return new PagedKvSequence(
        cache, copies, length, (BitSet) starts.clone(), (BitSet) pins.clone());
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the sequence is closed");
    }
    cache.requireOpen();
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    for (PageTable table : tables) {
      table.truncate(0);
    }
  }
}
