package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.ORDER;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Keys and values in native memory. A page holds, for each layer of its group and for each head of
 * the layer, a block of keys and a block of values. Keys are transposed, so that vector lanes are
 * tokens and a score needs no horizontal sum:
 *
 * <pre>
 *  keys:    k[0] of token 0 … 15 | k[1] of token 0 … 15 | … | k[keySize − 1]
 *  values:  token 0: v[0] … v[valueSize − 1] | token 1 | … | token 15
 * </pre>
 *
 * <p>Pages are allocated in slabs, because fresh memory is zeroed. Reading and writing disjoint
 * tokens is safe from any thread.
 */
final class VectorKvStorage implements KvStorage {
  private static final long SLAB_BYTES = 4 << 20;
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfFloat FLOAT32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

  private final KvSpec spec;
  private final KvFormat format;
  private final Arena arena = Arena.ofShared();
  private final int[] groupOfLayer;
  private final long[] layerOffset;
  private final long[] pageBytes;
  private final int[] slabShift;
  private final List<List<MemorySegment>> slabs = new ArrayList<>();

  VectorKvStorage(KvSpec spec, KvFormat format) {
    this.spec = spec;
    this.format = format;
    int layers = spec.layers().size();
    int groups = spec.groupWindows().size();
    groupOfLayer = new int[layers];
    layerOffset = new long[layers];
    pageBytes = new long[groups];
    slabShift = new int[groups];
    for (int i = 0; i < layers; i++) {
      KvSpec.Layer layer = spec.layers().get(i);
      int group = spec.groupOf(i);
      groupOfLayer[i] = group;
      layerOffset[i] = pageBytes[group];
      pageBytes[group] += layer.heads() * (keyBytes(layer) + valueBytes(layer));
    }
    for (int g = 0; g < groups; g++) {
      long perSlab = Math.max(1, SLAB_BYTES / pageBytes[g]);
      slabShift[g] = Long.SIZE - 1 - Long.numberOfLeadingZeros(perSlab);
      slabs.add(new ArrayList<>());
    }
  }

  private long keyBytes(KvSpec.Layer layer) {
    return (long) PAGE_TOKENS * layer.keySize() * format.bytes();
  }

  private long valueBytes(KvSpec.Layer layer) {
    return (long) PAGE_TOKENS * layer.valueSize() * format.bytes();
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
    return slabs.get(group).size() << slabShift[group];
  }

  @Override
  public void grow(int group, int pages) {
    long bytes = pageBytes[group] << slabShift[group];
    while (pages(group) < pages) {
      try {
        slabs.get(group).add(arena.allocate(bytes, 64));
      } catch (OutOfMemoryError e) {
        throw new BackendException(
            "no memory for "
                + bytes
                + " more bytes of keys and values: use a shorter context or close sessions",
            e);
      }
    }
  }

  @Override
  public void copyPage(int group, int from, int to, int tokens) {
    // Keys of one token are spread over the page: copying all of it is as fast.
    MemorySegment.copy(
        slab(group, from),
        offset(group, from),
        slab(group, to),
        offset(group, to),
        pageBytes[group]);
  }

  private MemorySegment slab(int group, int page) {
    return slabs.get(group).get(page >> slabShift[group]);
  }

  private long offset(int group, int page) {
    return (page & ((1 << slabShift[group]) - 1)) * pageBytes[group];
  }

  private long keyOffset(int layer, int page, int head) {
    KvSpec.Layer l = spec.layers().get(layer);
    return offset(groupOfLayer[layer], page)
        + layerOffset[layer]
        + head * (keyBytes(l) + valueBytes(l));
  }

  /** The group of a layer. */
  int group(int layer) {
    return groupOfLayer[layer];
  }

  /** Rounds one token's keys and values of all heads to the format and stores them. */
  void write(
      int layer, int page, int token, float[] keys, int keysAt, float[] values, int valuesAt) {
    KvSpec.Layer l = spec.layers().get(layer);
    MemorySegment slab = slab(groupOfLayer[layer], page);
    for (int head = 0; head < l.heads(); head++) {
      long keyAt = keyOffset(layer, page, head);
      long valueAt = keyAt + keyBytes(l) + (long) token * l.valueSize() * format.bytes();
      int key = keysAt + head * l.keySize();
      int value = valuesAt + head * l.valueSize();
      long stride = (long) PAGE_TOKENS * format.bytes();
      keyAt += (long) token * format.bytes();
      switch (format) {
        case F16 -> {
          for (int d = 0; d < l.keySize(); d++) {
            slab.set(SHORT, keyAt + d * stride, Float.floatToFloat16(keys[key + d]));
          }
          for (int d = 0; d < l.valueSize(); d++) {
            slab.set(SHORT, valueAt + d * 2L, Float.floatToFloat16(values[value + d]));
          }
        }
        case F32 -> {
          for (int d = 0; d < l.keySize(); d++) {
            slab.set(FLOAT32, keyAt + d * stride, keys[key + d]);
          }
          MemorySegment.copy(values, value, slab, FLOAT32, valueAt, l.valueSize());
        }
      }
    }
  }

  /** Expands the keys of a head of a page to {@code target[d · PAGE_TOKENS + token]}. */
  void readKeys(int layer, int page, int head, float[] target) {
    int count = spec.layers().get(layer).keySize() * PAGE_TOKENS;
    expand(slab(groupOfLayer[layer], page), keyOffset(layer, page, head), count, target, 0);
  }

  /** Expands the first {@code tokens} values of a head to {@code target[token · stride + d]}. */
  void readValues(int layer, int page, int head, int tokens, float[] target, int stride) {
    KvSpec.Layer l = spec.layers().get(layer);
    MemorySegment slab = slab(groupOfLayer[layer], page);
    long at = keyOffset(layer, page, head) + keyBytes(l);
    if (stride == l.valueSize()) {
      expand(slab, at, tokens * stride, target, 0);
      return;
    }
    for (int t = 0; t < tokens; t++) {
      expand(slab, at, l.valueSize(), target, t * stride);
      at += (long) l.valueSize() * format.bytes();
    }
  }

  private void expand(MemorySegment source, long at, int count, float[] target, int to) {
    switch (format) {
      case F16 -> expandHalves(source, at, count, target, to);
      case F32 -> MemorySegment.copy(source, FLOAT32, at, target, to, count);
    }
  }

  /** A plain loop, which the compiler turns into conversion instructions of vectors. */
  private static void expandHalves(
      MemorySegment source, long at, int count, float[] target, int to) {
    for (int i = 0; i < count; i++) {
      target[to + i] = Float.float16ToFloat(source.get(SHORT, at + i * 2L));
    }
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
      slabs.forEach(List::clear);
    }
  }
}
