package dev.jacquard.kernels.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Lines of the caches that kernels are about to jump to. A byte of each is read in a loop that does
 * nothing else, so that their misses overlap; a kernel would take one after the other, and Java has
 * no instruction that fetches ahead. Buffers of one thread.
 */
final class ReadAhead {
  /** Bytes of a line. */
  static final int LINE = 64;

  private long[] lines = {};
  private int count;

  /** What was read, so that reading it is not dropped. */
  @SuppressWarnings("UnusedVariable") // writing it is what it is for
  private int read;

  /** Makes room for so many lines, and forgets all. */
  void reserve(int most) {
    if (lines.length < most) {
      lines = new long[2 * most];
    }
    count = 0;
  }

  /** Adds a line for every 64 of {@code bytes} bytes. */
  void add(long at, int bytes) {
    for (int i = 0; i < bytes; i += LINE) {
      lines[count++] = at + i;
    }
  }

  /** Reads the lines that were added since the last call, all of {@code memory}. */
  void touch(MemorySegment memory) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
      sum += memory.get(ValueLayout.JAVA_BYTE, lines[i]);
    }
    read = sum;
    count = 0;
  }
}
