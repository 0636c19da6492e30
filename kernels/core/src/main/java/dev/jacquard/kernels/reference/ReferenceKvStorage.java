package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.SketchBasis;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Pages outside the heap. Within a page the layers of its group follow one another; each has its
 * keys, then its values:
 *
 * <pre>
 *  layer a: keys [PAGE_TOKENS x heads*keySize] | values [PAGE_TOKENS x heads*valueSize]
 *  layer b: keys ...                           | values ...
 * </pre>
 *
 * Numbers are {@code float}s or IEEE half precision, in the byte order of the machine.
 */
final class ReferenceKvStorage implements KvStorage {
  private final KvSpec spec;
  private final KvFormat format;
  private final Arena arena = Arena.ofShared();
  private final List<List<MemorySegment>> pages = new ArrayList<>();
  private final int[] groupOfLayer;
  private final long[] layerStart;

  ReferenceKvStorage(KvSpec spec, KvFormat format) {
    this.spec = spec;
    this.format = format;
    bytes(format);
    int layers = spec.layers().size();
    groupOfLayer = new int[layers];
    layerStart = new long[layers];
    spec.groupWindows().forEach(window -> pages.add(new ArrayList<>()));
    long[] used = new long[pages.size()];
    for (int l = 0; l < layers; l++) {
      int group = spec.groupOf(l);
      groupOfLayer[l] = group;
      layerStart[l] = used[group];
      KvSpec.Layer layer = spec.layers().get(l);
      used[group] += (long) PAGE_TOKENS * layer.heads() * (layer.keySize() + layer.valueSize());
    }
  }

  @Override
  public KvSpec spec() {
    return spec;
  }

  @Override
  public KvFormat format() {
    return format;
  }

  @Override
  public int pages(int group) {
    return pages.get(group).size();
  }

  @Override
  public void grow(int group, int count) {
    List<MemorySegment> existing = pages.get(group);
    int more = count - existing.size();
    if (more <= 0) {
      return;
    }
    long bytes = pageBytes(group);
    MemorySegment slab;
    try {
      slab = arena.allocate(Math.multiplyExact(bytes, (long) more), Float.BYTES);
    } catch (OutOfMemoryError | ArithmeticException e) {
      throw new BackendException(
          "no memory for " + more + " pages of " + bytes + " bytes of keys and values", e);
    }
    for (int i = 0; i < more; i++) {
      existing.add(slab.asSlice(i * bytes, bytes));
    }
  }

  @Override
  public void copyPage(int group, int from, int to, int tokens) {
    MemorySegment source = pages.get(group).get(from);
    MemorySegment target = pages.get(group).get(to);
    for (int l = 0; l < groupOfLayer.length; l++) {
      if (groupOfLayer[l] == group) {
        KvSpec.Layer layer = spec.layers().get(l);
        copy(source, target, keys(l, 0), (long) tokens * layer.heads() * layer.keySize());
        copy(source, target, values(l, 0), (long) tokens * layer.heads() * layer.valueSize());
      }
    }
  }

  private void copy(MemorySegment source, MemorySegment target, long start, long count) {
    int bytes = bytes(format);
    MemorySegment.copy(source, start * bytes, target, start * bytes, count * bytes);
  }

  int groupOf(int layer) {
    return groupOfLayer[layer];
  }

  @Override
  public void write(
      int layer, int page, int offset, float[] key, int keyAt, float[] value, int valueAt) {
    KvSpec.Layer l = spec.layers().get(layer);
    MemorySegment target = pages.get(groupOfLayer[layer]).get(page);
    store(target, keys(layer, offset), key, keyAt, l.heads() * l.keySize());
    store(target, values(layer, offset), value, valueAt, l.heads() * l.valueSize());
  }

  @Override
  public void readKey(int layer, int page, int offset, int head, float[] key, int at) {
    int size = spec.layers().get(layer).keySize();
    load(layer, page, keys(layer, offset) + (long) head * size, key, at, size);
  }

  @Override
  public void readValue(int layer, int page, int offset, int head, float[] value, int at) {
    int size = spec.layers().get(layer).valueSize();
    load(layer, page, values(layer, offset) + (long) head * size, value, at, size);
  }

  /** Index, in its page, of the first number of a token's key. */
  private long keys(int layer, int offset) {
    KvSpec.Layer l = spec.layers().get(layer);
    return layerStart[layer] + (long) offset * l.heads() * l.keySize();
  }

  /** Index, in its page, of the first number of a token's value. */
  private long values(int layer, int offset) {
    KvSpec.Layer l = spec.layers().get(layer);
    return keys(layer, PAGE_TOKENS) + (long) offset * l.heads() * l.valueSize();
  }

  private void store(MemorySegment target, long start, float[] source, int from, int count) {
    switch (format) {
      case F32 ->
          MemorySegment.copy(
              source, from, target, ValueLayout.JAVA_FLOAT, start * Float.BYTES, count);
      case Q8 -> throw new IllegalStateException();
      case F16 -> {
        for (int i = 0; i < count; i++) {
          target.setAtIndex(
              ValueLayout.JAVA_SHORT, start + i, Float.floatToFloat16(source[from + i]));
        }
      }
    }
  }

  private void load(int layer, int page, long start, float[] target, int at, int count) {
    MemorySegment source = pages.get(groupOfLayer[layer]).get(page);
    switch (format) {
      case F32 ->
          MemorySegment.copy(
              source, ValueLayout.JAVA_FLOAT, start * Float.BYTES, target, at, count);
      case Q8 -> throw new IllegalStateException();
      case F16 -> {
        for (int i = 0; i < count; i++) {
          target[at + i] =
              Float.float16ToFloat(source.getAtIndex(ValueLayout.JAVA_SHORT, start + i));
        }
      }
    }
  }

  @Override
  public void summarise(int group, int page, int tokens) {}

  @Override
  public void sketch(int layer, List<SketchBasis> bases) {
    throw new IllegalStateException("keys in " + format + " are not sketched");
  }

  @Override
  public boolean sketched(int layer) {
    return false;
  }

  private static int bytes(KvFormat format) {
    return switch (format) {
      case F16 -> Short.BYTES;
      case F32 -> Float.BYTES;
      case Q8 -> throw new BackendException("keys and values in 8 bits cannot be kept yet");
    };
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
