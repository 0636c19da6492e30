package dev.jacquard.attention;

import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.StepInputs;

/** A sequence of a {@link PagedKvCache}: one page table per group. */
final class PagedKvSequence implements KvSequence {
  private final PagedKvCache cache;
  private final PageTable[] tables;
  private int length;
  private boolean closed;

  PagedKvSequence(PagedKvCache cache, PageTable[] tables, int length) {
    this.cache = cache;
    this.tables = tables;
    this.length = length;
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
    Math.addExact(length, count);
    cache.reserve(tables, count);

    int first = length;
    int sequence = inputs.addSequence();
    for (int i = from; i < to; i++) {
      int row = inputs.addRow(sequence, length, tokens[i], i >= to - outputs);
      for (int g = 0; g < tables.length; g++) {
        tables[g].append(length);
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
      policy.select(cache.live(tables[g]), window, first, inputs.view(sequence, g));
    }
  }

  @Override
  public void insert(int count, KvView[] places) {
    requireOpen();
    int end = Math.addExact(length, count);
    int[] first = new int[tables.length];
    for (int g = 0; g < tables.length; g++) {
      int window = cache.window(g);
      first[g] = window == 0 ? length : Math.max(length, end - window - PagedKvCache.SLACK);
    }
    cache.reserve(tables, length, first, end);
    for (int g = 0; g < tables.length; g++) {
      if (first[g] > length) {
        tables[g].releaseBefore(length);
      }
      for (int position = first[g]; position < end; position++) {
        tables[g].append(position);
      }
      tables[g].copyTo(places[g]);
    }
    length = end;
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
    return new PagedKvSequence(cache, copies, length);
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
