package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.SketchBasis;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * Keys and values as floating-point numbers. Within a page the layers of its group follow one
 * another; each has its keys, then its values:
 *
 * <pre>
 *  layer a: keys [PAGE_TOKENS x heads*keySize] | values [PAGE_TOKENS x heads*valueSize]
 *  layer b: keys ...                           | values ...
 * </pre>
 *
 * Numbers are {@code float}s or IEEE half precision, in the byte order of the machine.
 */
final class FloatKvStorage extends ReferenceKvStorage {
  /** Whether numbers are rounded to half precision. */
  private final boolean half;

  private final long[] layerStart;

  FloatKvStorage(KvSpec spec, KvFormat format) {
    super(spec, format);
    half = format == KvFormat.F16;
    layerStart = new long[spec.layers().size()];
    long[] used = new long[spec.groupWindows().size()];
    for (int l = 0; l < layerStart.length; l++) {
      layerStart[l] = used[groupOf(l)];
      KvSpec.Layer layer = layer(l);
      used[groupOf(l)] +=
          (long) PAGE_TOKENS * layer.heads() * (layer.keySize() + layer.valueSize());
    }
  }

  @Override
  public void copyPage(int group, int from, int to, int tokens) {
    for (int l = 0; l < layerStart.length; l++) {
      if (groupOf(l) == group) {
        KvSpec.Layer layer = layer(l);
        MemorySegment source = page(l, from);
        MemorySegment target = page(l, to);
        copy(source, target, keys(l, 0), (long) tokens * layer.heads() * layer.keySize());
        copy(source, target, values(l, 0), (long) tokens * layer.heads() * layer.valueSize());
      }
    }
  }

  private void copy(MemorySegment source, MemorySegment target, long start, long count) {
    int bytes = half ? Short.BYTES : Float.BYTES;
    MemorySegment.copy(source, start * bytes, target, start * bytes, count * bytes);
  }

  @Override
  public void write(
      int layer, int page, int offset, float[] key, int keyAt, float[] value, int valueAt) {
    KvSpec.Layer l = layer(layer);
    MemorySegment target = page(layer, page);
    store(target, keys(layer, offset), key, keyAt, l.heads() * l.keySize());
    store(target, values(layer, offset), value, valueAt, l.heads() * l.valueSize());
  }

  @Override
  public void readKey(int layer, int page, int offset, int head, float[] key, int at) {
    int size = layer(layer).keySize();
    load(page(layer, page), keys(layer, offset) + (long) head * size, key, at, size);
  }

  @Override
  public void readValue(int layer, int page, int offset, int head, float[] value, int at) {
    int size = layer(layer).valueSize();
    load(page(layer, page), values(layer, offset) + (long) head * size, value, at, size);
  }

  /** Index, in its page, of the first number of a token's key. */
  private long keys(int layer, int offset) {
    KvSpec.Layer l = layer(layer);
    return layerStart[layer] + (long) offset * l.heads() * l.keySize();
  }

  /** Index, in its page, of the first number of a token's value. */
  private long values(int layer, int offset) {
    KvSpec.Layer l = layer(layer);
    return keys(layer, PAGE_TOKENS) + (long) offset * l.heads() * l.valueSize();
  }

  private void store(MemorySegment target, long start, float[] source, int from, int count) {
    if (half) {
      for (int i = 0; i < count; i++) {
        target.setAtIndex(
            ValueLayout.JAVA_SHORT, start + i, Float.floatToFloat16(source[from + i]));
      }
    } else {
      MemorySegment.copy(source, from, target, ValueLayout.JAVA_FLOAT, start * Float.BYTES, count);
    }
  }

  private void load(MemorySegment source, long start, float[] target, int at, int count) {
    if (half) {
      for (int i = 0; i < count; i++) {
        target[at + i] = Float.float16ToFloat(source.getAtIndex(ValueLayout.JAVA_SHORT, start + i));
      }
    } else {
      MemorySegment.copy(source, ValueLayout.JAVA_FLOAT, start * Float.BYTES, target, at, count);
    }
  }

  @Override
  public void summarise(int group, int page, int tokens) {}

  @Override
  public void sketch(int layer, List<SketchBasis> bases) {
    throw new IllegalArgumentException(
        "keys in " + format() + " are not sketched; keep them in " + KvFormat.Q8);
  }

  @Override
  public boolean sketched(int layer) {
    return false;
  }
}
