package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Single tokens of a view, where their keys and values lie, and the scales of keys. Buffers of one
 * thread.
 *
 * <p>{@link #locate} reads a byte of every line that the tokens lie in. Their misses then overlap,
 * while kernels would take one token's after the other's. Pages are remembered by number: storing a
 * segment into an array can make the collector's barrier a fence, which ends the overlap.
 */
final class ListedTokens {
  /** Bytes of a line of the caches. */
  private static final int LINE = 64;

  private int size;
  private int[] tokens = {};
  private int[] pages = {};
  private long[] keys = {};
  private long[] values = {};
  private long[] keyScalesAt = {};
  private long[] valueScalesAt = {};
  private long[] lines = {};
  private int lineCount;
  private float[] keyScales = {};
  private int keyGroups;

  /** What was touched, so that touching it is not dropped. */
  @SuppressWarnings("UnusedVariable") // writing it is what it is for
  private int touched;

  /** Forgets all tokens. */
  void clear() {
    size = 0;
  }

  /** Number of tokens. */
  int size() {
    return size;
  }

  /** Appends the tokens of an entry whose bits are set. */
  void add(int entry, int bits) {
    if (tokens.length < size + PAGE_TOKENS) {
      tokens = Arrays.copyOf(tokens, 2 * size + PAGE_TOKENS);
    }
    for (int rest = bits; rest != 0; rest &= rest - 1) {
      tokens[size++] = entry * PAGE_TOKENS + Integer.numberOfTrailingZeros(rest);
    }
  }

  /** Token i: PAGE_TOKENS · entry + offset. */
  int token(int i) {
    return tokens[i];
  }

  /** The page of token i. */
  int page(int i) {
    return pages[i];
  }

  /** Where the codes of the key of token i start in the memory of its page. */
  long key(int i) {
    return keys[i];
  }

  /** Where the planes of the value of token i start in the memory of its page. */
  long value(int i) {
    return values[i];
  }

  /** Scales of keys, one token's groups after the other's. The array itself. */
  float[] keyScales() {
    return keyScales;
  }

  /** Where the scales of the value of token i start in the memory of its page. */
  long valueScales(int i) {
    return valueScalesAt[i];
  }

  /** Finds the keys of all tokens, and reads their scales. */
  void locateKeys(SelectionRow row, int kvHead) {
    locate(row.kv(), row.view(), row.layer(), kvHead, false);
  }

  /** The same for keys and values. */
  void locate(SelectionRow row, int kvHead) {
    locate(row.kv(), row.view(), row.layer(), kvHead, true);
  }

  private void locate(Q8KvStorage kv, KvView view, int layer, int kvHead, boolean both) {
    KvSpec.Layer shape = kv.spec().layers().get(layer);
    int keySize = shape.keySize();
    int planes = 2 * Q8KvStorage.plane(shape.valueSize());
    keyGroups = QuantizedKv.groups(keySize);
    int valueGroups = QuantizedKv.groups(shape.valueSize());
    reserve(keySize + planes);
    int from = 0;
    lineCount = 0;
    for (int i = 0; i < size; ) {
      int entry = tokens[i] / PAGE_TOKENS;
      int page = view.page(entry);
      MemorySegment memory = kv.memory(layer, page);
      if (i > from && memory != kv.memory(layer, pages[from])) {
        read(kv.memory(layer, pages[from]), from, i);
        from = i;
      }
      long keyAt = kv.offset(Part.KEYS, layer, page, kvHead);
      long keyScaleAt = kv.offset(Part.KEY_SCALES, layer, page, kvHead);
      long valueAt = kv.offset(Part.VALUES, layer, page, kvHead);
      long valueScaleAt = kv.offset(Part.VALUE_SCALES, layer, page, kvHead);
      for (; i < size && tokens[i] / PAGE_TOKENS == entry; i++) {
        int offset = tokens[i] % PAGE_TOKENS;
        pages[i] = page;
        keys[i] = keyAt + (long) offset * keySize;
        values[i] = valueAt + (long) offset * planes;
        keyScalesAt[i] = keyScaleAt + (long) Short.BYTES * keyGroups * offset;
        valueScalesAt[i] = valueScaleAt + (long) Short.BYTES * valueGroups * offset;
        addLines(keys[i], keySize);
        lines[lineCount++] = keyScalesAt[i];
        if (both) {
          addLines(values[i], planes);
          lines[lineCount++] = valueScalesAt[i];
        }
      }
    }
    if (size > 0) {
      read(kv.memory(layer, pages[from]), from, size);
    }
    repeatLast();
  }

  private void addLines(long at, int bytes) {
    for (int i = 0; i < bytes; i += LINE) {
      lines[lineCount++] = at + i;
    }
  }

  /** Touches the lines that were found, and reads scales of keys that lie in one segment. */
  private void read(MemorySegment memory, int from, int to) {
    touched = touch(memory, lines, lineCount);
    lineCount = 0;
    for (int i = from; i < to; i++) {
      toFloats(memory, keyScalesAt[i], keyGroups, keyScales, i * keyGroups);
    }
  }

  private static int touch(MemorySegment memory, long[] lines, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
      sum += memory.get(ValueLayout.JAVA_BYTE, lines[i]);
    }
    return sum;
  }

  /** Reads scales; four at a time, since a long is checked against the end of memory once. */
  static void toFloats(MemorySegment memory, long at, int count, float[] target, int to) {
    int i = 0;
    for (; i + 4 <= count; i += 4) {
      long four = memory.get(Q8KvStorage.LONG, at + (long) Short.BYTES * i);
      target[to + i] = Float.float16ToFloat((short) four);
      target[to + i + 1] = Float.float16ToFloat((short) (four >>> 16));
      target[to + i + 2] = Float.float16ToFloat((short) (four >>> 32));
      target[to + i + 3] = Float.float16ToFloat((short) (four >>> 48));
    }
    for (; i < count; i++) {
      target[to + i] =
          Float.float16ToFloat(memory.get(Q8KvStorage.HALF, at + (long) Short.BYTES * i));
    }
  }

  /** A place behind the last token that holds its key once more: kernels take pairs. */
  private void repeatLast() {
    if (size > 0) {
      pages[size] = pages[size - 1];
      keys[size] = keys[size - 1];
      System.arraycopy(keyScales, (size - 1) * keyGroups, keyScales, size * keyGroups, keyGroups);
    }
  }

  private void reserve(int tokenBytes) {
    int count = size + 1;
    if (pages.length < count) {
      pages = new int[2 * count];
      keys = new long[2 * count];
      values = new long[2 * count];
      keyScalesAt = new long[2 * count];
      valueScalesAt = new long[2 * count];
    }
    if (lines.length < count * (tokenBytes / LINE + 4)) {
      lines = new long[2 * count * (tokenBytes / LINE + 4)];
    }
    if (keyScales.length < count * keyGroups) {
      keyScales = new float[2 * count * keyGroups];
    }
  }
}
