package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.ORDER;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.SketchBasis;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * Keys and values in 16 or 32 bits. Keys are transposed within a page, so that vector lanes are
 * tokens and a score needs no horizontal sum:
 *
 * <pre>
 *  keys of a page:    k[0] of token 0 … 15 | k[1] of token 0 … 15 | … | k[keySize − 1]
 *  values of a page:  token 0: v[0] … v[valueSize − 1] | token 1 | … | token 15
 *
 *  slab:  layer 0, head 0: keys of page 0 | page 1 | … | values of page 0 | page 1 | …
 *         layer 0, head 1: …
 * </pre>
 */
final class VectorKvStorage extends SlabKvStorage {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
  private static final ValueLayout.OfFloat FLOAT32 =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

  private final KvSpec spec;
  private final KvFormat format;
  private final long[] layerOffset;
  private final long[] pageBytes;

  VectorKvStorage(KvSpec spec, KvFormat format) {
    super(spec, format, pageBytes(spec, format), 0);
    this.spec = spec;
    this.format = format;
    pageBytes = pageBytes(spec, format);
    layerOffset = new long[spec.layers().size()];
    long[] used = new long[pageBytes.length];
    for (int i = 0; i < layerOffset.length; i++) {
      layerOffset[i] = used[group(i)];
      used[group(i)] += pageBytes(spec.layers().get(i), format);
    }
  }

  private static long[] pageBytes(KvSpec spec, KvFormat format) {
    long[] bytes = new long[spec.groupWindows().size()];
    for (int i = 0; i < spec.layers().size(); i++) {
      bytes[spec.groupOf(i)] += pageBytes(spec.layers().get(i), format);
    }
    return bytes;
  }

  private static long pageBytes(KvSpec.Layer layer, KvFormat format) {
    return (long) PAGE_TOKENS
        * layer.heads()
        * (layer.keySize() + layer.valueSize())
        * bytes(format);
  }

  @Override
  long slabBytes(int group) {
    return pageBytes[group] << slabShift(group);
  }

  private long keyBytes(KvSpec.Layer layer) {
    return (long) PAGE_TOKENS * layer.keySize() * bytes(format);
  }

  private long valueBytes(KvSpec.Layer layer) {
    return (long) PAGE_TOKENS * layer.valueSize() * bytes(format);
  }

  @Override
  public void copyPage(int group, int from, int to, int tokens) {
    // Keys of one token are spread over the page: copying all of it is as fast.
    for (int i = 0; i < layerOffset.length; i++) {
      if (group(i) == group) {
        KvSpec.Layer layer = spec.layers().get(i);
        for (int head = 0; head < layer.heads(); head++) {
          copy(group, from, to, i, head, keyBytes(layer), 0);
          copy(group, from, to, i, head, valueBytes(layer), keyBytes(layer));
        }
      }
    }
  }

  private void copy(int group, int from, int to, int layer, int head, long bytes, long after) {
    MemorySegment.copy(
        slab(group, from),
        offset(layer, from, head, bytes, after),
        slab(group, to),
        offset(layer, to, head, bytes, after),
        bytes);
  }

  private long keyOffset(int layer, int page, int head) {
    return offset(layer, page, head, keyBytes(spec.layers().get(layer)), 0);
  }

  private long valueOffset(int layer, int page, int head) {
    KvSpec.Layer l = spec.layers().get(layer);
    return offset(layer, page, head, valueBytes(l), keyBytes(l));
  }

  /**
   * Where the keys or values of a head of a page start in the page's slab.
   *
   * @param bytes of a page of them
   * @param after bytes of a page of what stands before them
   */
  private long offset(int layer, int page, int head, long bytes, long after) {
    int group = group(layer);
    KvSpec.Layer l = spec.layers().get(layer);
    long before = layerOffset[layer] + head * (keyBytes(l) + valueBytes(l)) + after;
    return (before << slabShift(group)) + pageInSlab(group, page) * bytes;
  }

  @Override
  public void write(
      int layer, int page, int token, float[] keys, int keysAt, float[] values, int valuesAt) {
    KvSpec.Layer l = spec.layers().get(layer);
    MemorySegment slab = slab(group(layer), page);
    for (int head = 0; head < l.heads(); head++) {
      long keyAt = keyOffset(layer, page, head);
      long valueAt = valueOffset(layer, page, head) + (long) token * l.valueSize() * bytes(format);
      int key = keysAt + head * l.keySize();
      int value = valuesAt + head * l.valueSize();
      long stride = (long) PAGE_TOKENS * bytes(format);
      keyAt += (long) token * bytes(format);
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
        case Q8 -> throw new IllegalStateException();
      }
    }
  }

  /** Expands the keys of a head of a page to {@code target[to + d · PAGE_TOKENS + token]}. */
  void readKeys(int layer, int page, int head, float[] target, int to) {
    int count = spec.layers().get(layer).keySize() * PAGE_TOKENS;
    expand(slab(group(layer), page), keyOffset(layer, page, head), count, target, to);
  }

  /**
   * Expands the first {@code tokens} values of a head to {@code target[to + token · stride + d]}.
   */
  void readValues(int layer, int page, int head, int tokens, float[] target, int to, int stride) {
    KvSpec.Layer l = spec.layers().get(layer);
    MemorySegment slab = slab(group(layer), page);
    long at = valueOffset(layer, page, head);
    if (stride == l.valueSize()) {
      expand(slab, at, tokens * stride, target, to);
      return;
    }
    for (int t = 0; t < tokens; t++) {
      expand(slab, at, l.valueSize(), target, to + t * stride);
      at += (long) l.valueSize() * bytes(format);
    }
  }

  private void expand(MemorySegment source, long at, int count, float[] target, int to) {
    switch (format) {
      case F16 -> expandHalves(source, at, count, target, to);
      case F32 -> MemorySegment.copy(source, FLOAT32, at, target, to, count);
      case Q8 -> throw new IllegalStateException();
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
  public void readKey(int layer, int page, int offset, int head, float[] target, int at) {
    MemorySegment slab = slab(group(layer), page);
    long from = keyOffset(layer, page, head) + (long) offset * bytes(format);
    int size = spec.layers().get(layer).keySize();
    for (int d = 0; d < size; d++) {
      expand(slab, from + (long) d * PAGE_TOKENS * bytes(format), 1, target, at + d);
    }
  }

  @Override
  public void readValue(int layer, int page, int offset, int head, float[] target, int at) {
    int size = spec.layers().get(layer).valueSize();
    long from = valueOffset(layer, page, head) + (long) offset * size * bytes(format);
    expand(slab(group(layer), page), from, size, target, at);
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
      case Q8 -> throw new IllegalStateException();
    };
  }
}
