package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Keys and values in 8 bits, with the numbers of {@link QuantizedKv}. Within a page the layers of
 * its group follow one another, each with its heads; a head has
 *
 * <pre>
 *  key codes      [PAGE_TOKENS x keySize] int8          key scales    [PAGE_TOKENS x groups] float16
 *  value codes    [PAGE_TOKENS x valueSize] code + 128  value scales  [PAGE_TOKENS x groups] float16
 *  residuals      [PAGE_TOKENS] float16
 *  and in layers without a window
 *  sketches       [PAGE_TOKENS x sketchBytes]
 *  mean codes     [valueSize] int8                      scale, stretch, spread float16
 * </pre>
 */
final class QuantizedKvStorage extends ReferenceKvStorage {
  private static final ValueLayout.OfShort HALF =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Places[] places;

  /** The bases of the heads of each layer that is sketched. */
  private final Map<Integer, List<SketchBasis>> bases = new HashMap<>();

  /** Where the parts of a head start, counted from the first byte of the head. */
  private record Places(
      long layerStart,
      int keyScales,
      int values,
      int valueScales,
      int residuals,
      int sketches,
      int mean,
      int meanScales,
      int headBytes) {
    static Places of(KvSpec.Layer layer, long layerStart) {
      int keyScales = PAGE_TOKENS * layer.keySize();
      int values = PAGE_TOKENS * QuantizedKv.keyBytes(layer.keySize());
      int valueScales = values + PAGE_TOKENS * layer.valueSize();
      int residuals = values + PAGE_TOKENS * QuantizedKv.valueBytes(layer.valueSize());
      int sketches = residuals + PAGE_TOKENS * Short.BYTES;
      int mean = sketches + PAGE_TOKENS * QuantizedKv.sketchBytes(layer.keySize());
      int meanScales = mean + layer.valueSize();
      int end = mean + QuantizedKv.meanBytes(layer.valueSize());
      return new Places(
          layerStart,
          keyScales,
          values,
          valueScales,
          residuals,
          sketches,
          mean,
          meanScales,
          layer.window() > 0 ? sketches : end);
    }
  }

  QuantizedKvStorage(KvSpec spec) {
    super(spec, KvFormat.Q8);
    int layers = spec.layers().size();
    places = new Places[layers];
    long[] used = new long[spec.groupWindows().size()];
    for (int l = 0; l < layers; l++) {
      places[l] = Places.of(layer(l), used[groupOf(l)]);
      used[groupOf(l)] += (long) layer(l).heads() * places[l].headBytes;
    }
  }

  private long head(int layer, int head) {
    return places[layer].layerStart + (long) head * places[layer].headBytes;
  }

  private static float half(MemorySegment page, long at) {
    return Float.float16ToFloat(page.get(HALF, at));
  }

  @Override
  public void write(
      int layer, int page, int offset, float[] keys, int keysAt, float[] values, int valuesAt) {
    KvSpec.Layer l = layer(layer);
    for (int h = 0; h < l.heads(); h++) {
      writeKey(layer, page, offset, h, keys, keysAt + h * l.keySize());
      writeValue(layer, page, offset, h, values, valuesAt + h * l.valueSize());
      List<SketchBasis> sketching = bases.get(layer);
      if (sketching != null) {
        writeSketch(layer, page, offset, h, sketching.get(h));
      }
    }
  }

  private void writeKey(int layer, int page, int offset, int head, float[] key, int from) {
    int size = layer(layer).keySize();
    MemorySegment target = page(layer, page);
    long codes = head(layer, head) + (long) offset * size;
    long scales = keyScales(layer, offset, head);
    for (int i = 0; i < size; i += QuantizedKv.GROUP) {
      int end = Math.min(size, i + QuantizedKv.GROUP);
      float scale = writeScale(target, scaleOf(scales, i), key, from, i, end);
      for (int c = i; c < end; c++) {
        target.set(ValueLayout.JAVA_BYTE, codes + c, (byte) QuantizedKv.code(key[from + c], scale));
      }
    }
  }

  private void writeValue(int layer, int page, int offset, int head, float[] value, int from) {
    int size = layer(layer).valueSize();
    MemorySegment target = page(layer, page);
    long codes = head(layer, head) + places[layer].values + (long) offset * size;
    long scales = valueScales(layer, offset, head);
    double squares = 0;
    for (int i = 0; i < size; i += QuantizedKv.GROUP) {
      int end = Math.min(size, i + QuantizedKv.GROUP);
      float scale = writeScale(target, scaleOf(scales, i), value, from, i, end);
      for (int c = i; c < end; c++) {
        int code = QuantizedKv.code(value[from + c], scale) + 128;
        target.set(ValueLayout.JAVA_BYTE, codes + c, (byte) code);
        double lost = scale * ((code & 15) - 8);
        squares += lost * lost;
      }
    }
    target.set(HALF, residualAt(layer, offset, head), QuantizedKv.roundUp(Math.sqrt(squares)));
  }

  /** Stores the scale of channels {@code i} to {@code end − 1}, and returns it as it is stored. */
  private static float writeScale(
      MemorySegment target, long at, float[] x, int from, int i, int end) {
    float largest = 0;
    for (int c = i; c < end; c++) {
      largest = Math.max(largest, Math.abs(x[from + c]));
    }
    short scale = QuantizedKv.scale(largest);
    target.set(HALF, at, scale);
    return Float.float16ToFloat(scale);
  }

  /** The place of the scale of a channel, given that of a token's first. */
  private static long scaleOf(long scales, int channel) {
    return scales + (long) (channel / QuantizedKv.GROUP) * Short.BYTES;
  }

  private long keyScales(int layer, int offset, int head) {
    int groups = QuantizedKv.groups(layer(layer).keySize());
    return head(layer, head) + places[layer].keyScales + (long) offset * groups * Short.BYTES;
  }

  private long valueScales(int layer, int offset, int head) {
    int groups = QuantizedKv.groups(layer(layer).valueSize());
    return head(layer, head) + places[layer].valueScales + (long) offset * groups * Short.BYTES;
  }

  private long residualAt(int layer, int offset, int head) {
    return head(layer, head) + places[layer].residuals + (long) offset * Short.BYTES;
  }

  @Override
  public void readKey(int layer, int page, int offset, int head, float[] target, int at) {
    int size = layer(layer).keySize();
    MemorySegment source = page(layer, page);
    long codes = head(layer, head) + (long) offset * size;
    long scales = keyScales(layer, offset, head);
    for (int i = 0; i < size; i += QuantizedKv.GROUP) {
      float scale = half(source, scaleOf(scales, i));
      int end = Math.min(size, i + QuantizedKv.GROUP);
      for (int c = i; c < end; c++) {
        target[at + c] = scale * source.get(ValueLayout.JAVA_BYTE, codes + c);
      }
    }
  }

  @Override
  public void readValue(int layer, int page, int offset, int head, float[] target, int at) {
    readValue(layer, page, offset, head, 0xFF, 0, target, at);
  }

  /** Reads one value in its upper 4 bits. */
  void readCoarseValue(int layer, int page, int offset, int head, float[] target, int at) {
    readValue(layer, page, offset, head, 0xF0, 8, target, at);
  }

  private void readValue(
      int layer, int page, int offset, int head, int mask, int middle, float[] target, int at) {
    int size = layer(layer).valueSize();
    MemorySegment source = page(layer, page);
    long codes = head(layer, head) + places[layer].values + (long) offset * size;
    long scales = valueScales(layer, offset, head);
    for (int i = 0; i < size; i += QuantizedKv.GROUP) {
      float scale = half(source, scaleOf(scales, i));
      int end = Math.min(size, i + QuantizedKv.GROUP);
      for (int c = i; c < end; c++) {
        int code = source.get(ValueLayout.JAVA_BYTE, codes + c) & mask;
        target[at + c] = scale * (code + middle - 128);
      }
    }
  }

  /** What reading the value in 4 bits changes: the length of the difference, rounded up. */
  float residual(int layer, int page, int offset, int head) {
    return half(page(layer, page), residualAt(layer, offset, head));
  }

  /** Reads the mean of a page's values. */
  void readMean(int layer, int page, int head, float[] target, int at) {
    MemorySegment source = page(layer, page);
    long codes = head(layer, head) + places[layer].mean;
    float scale = meanScale(layer, page, head);
    for (int c = 0; c < layer(layer).valueSize(); c++) {
      target[at + c] = scale * source.get(ValueLayout.JAVA_BYTE, codes + c);
    }
  }

  private long meanScales(int layer, int head) {
    return head(layer, head) + places[layer].meanScales;
  }

  /** The scale of the mean of a page; NaN if a key or value of the page is not finite. */
  float meanScale(int layer, int page, int head) {
    return half(page(layer, page), meanScales(layer, head));
  }

  /** What weights of length 1 make of the values' differences from the rounded mean, at most. */
  float stretch(int layer, int page, int head) {
    return half(page(layer, page), meanScales(layer, head) + Short.BYTES);
  }

  /** The diameter of the page's values is at least this. */
  float spread(int layer, int page, int head) {
    return half(page(layer, page), meanScales(layer, head) + 2 * Short.BYTES);
  }

  @Override
  public void summarise(int group, int page, int tokens) {
    for (int l = 0; l < places.length; l++) {
      if (groupOf(l) == group) {
        summariseLayer(l, page, tokens);
      }
    }
  }

  /** Does for one layer what {@link #summarise} does for all of a group. */
  void summariseLayer(int layer, int page, int tokens) {
    if (layer(layer).window() == 0 && tokens > 0) {
      for (int h = 0; h < layer(layer).heads(); h++) {
        summariseHead(layer, page, h, tokens);
      }
    }
  }

  private void summariseHead(int layer, int page, int head, int tokens) {
    int size = layer(layer).valueSize();
    float[] value = new float[size];
    double[] mean = new double[size];
    double poison = 0;
    for (int t = 0; t < tokens; t++) {
      readValue(layer, page, t, head, value, 0);
      poison += poison(layer, page, t, head);
      for (int c = 0; c < size; c++) {
        mean[c] += value[c];
      }
    }
    double largest = poison;
    for (int c = 0; c < size; c++) {
      mean[c] /= tokens;
      largest = Math.max(largest, Math.abs(mean[c]));
    }
    MemorySegment target = page(layer, page);
    target.set(HALF, meanScales(layer, head), QuantizedKv.scale((float) largest));
    float scale = meanScale(layer, page, head);
    double[] rounded = new double[size];
    long codes = head(layer, head) + places[layer].mean;
    for (int c = 0; c < size; c++) {
      int code = QuantizedKv.code((float) mean[c], scale);
      target.set(ValueLayout.JAVA_BYTE, codes + c, (byte) code);
      rounded[c] = scale * code;
    }
    double spread = 0;
    double[] distances = new double[tokens];
    double[][] differences = new double[tokens][size];
    for (int t = 0; t < tokens; t++) {
      readValue(layer, page, t, head, value, 0);
      distances[t] = distance(value, rounded);
      spread = Math.max(spread, distance(value, mean));
      for (int c = 0; c < size; c++) {
        differences[t][c] = value[c] - rounded[c];
      }
    }
    double stretch =
        tokens < PAGE_TOKENS
            ? QuantizedKv.stretch(distances, tokens)
            : QuantizedKv.stretch(products(differences), new double[PAGE_TOKENS * PAGE_TOKENS]);
    target.set(HALF, meanScales(layer, head) + Short.BYTES, QuantizedKv.roundUp(stretch));
    target.set(HALF, meanScales(layer, head) + 2 * Short.BYTES, QuantizedKv.roundDown(spread));
  }

  /** The product of each of some vectors with each. */
  private static double[] products(double[][] vectors) {
    double[] products = new double[vectors.length * vectors.length];
    for (int i = 0; i < vectors.length; i++) {
      for (int j = 0; j < vectors.length; j++) {
        double sum = 0;
        for (int c = 0; c < vectors[i].length; c++) {
          sum += vectors[i][c] * vectors[j][c];
        }
        products[i * vectors.length + j] = sum;
      }
    }
    return products;
  }

  /** NaN if a key is not finite, else 0. */
  private double poison(int layer, int page, int offset, int head) {
    int groups = QuantizedKv.groups(layer(layer).keySize());
    long scales = keyScales(layer, offset, head);
    double zero = 0;
    for (int g = 0; g < groups; g++) {
      zero *= half(page(layer, page), scales + (long) g * Short.BYTES);
    }
    return zero;
  }

  private static double distance(float[] a, double[] b) {
    double squares = 0;
    for (int c = 0; c < a.length; c++) {
      squares += (a[c] - b[c]) * (a[c] - b[c]);
    }
    return Math.sqrt(squares);
  }

  @Override
  public void copyPage(int group, int from, int to, int tokens) {
    for (int l = 0; l < places.length; l++) {
      if (groupOf(l) == group) {
        copyLayer(l, from, to, tokens);
        summariseLayer(l, to, tokens);
      }
    }
  }

  private void copyLayer(int layer, int from, int to, int tokens) {
    KvSpec.Layer l = layer(layer);
    Places p = places[layer];
    for (int h = 0; h < l.heads(); h++) {
      copy(layer, h, from, to, 0, (long) tokens * l.keySize());
      copy(layer, h, from, to, p.keyScales, (long) tokens * keyScaleBytes(l));
      copy(layer, h, from, to, p.values, (long) tokens * l.valueSize());
      copy(layer, h, from, to, p.valueScales, (long) tokens * valueScaleBytes(l));
      copy(layer, h, from, to, p.residuals, (long) tokens * Short.BYTES);
      if (l.window() == 0) {
        copy(layer, h, from, to, p.sketches, (long) tokens * QuantizedKv.sketchBytes(l.keySize()));
      }
    }
  }

  private static int keyScaleBytes(KvSpec.Layer layer) {
    return QuantizedKv.groups(layer.keySize()) * Short.BYTES;
  }

  private static int valueScaleBytes(KvSpec.Layer layer) {
    return QuantizedKv.groups(layer.valueSize()) * Short.BYTES;
  }

  private void copy(int layer, int head, int from, int to, int start, long bytes) {
    long at = head(layer, head) + start;
    MemorySegment.copy(page(layer, from), at, page(layer, to), at, bytes);
  }

  @Override
  public void sketch(int layer, List<SketchBasis> wanted) {
    KvSpec.Layer l = layer(layer);
    if (l.window() > 0) {
      throw new IllegalArgumentException(
          "layer " + layer + " has a window of " + l.window() + "; it is read whole, not sketched");
    }
    if (wanted.size() != l.heads() || wanted.stream().anyMatch(b -> b.size() != l.keySize())) {
      throw new IllegalArgumentException(
          "layer %d needs %d bases for keys of %d, not %s"
              .formatted(
                  layer, l.heads(), l.keySize(), wanted.stream().map(SketchBasis::size).toList()));
    }
    List<SketchBasis> sketching = List.copyOf(wanted);
    bases.put(layer, sketching);
    for (int page = 0; page < pages(groupOf(layer)); page++) {
      for (int offset = 0; offset < PAGE_TOKENS; offset++) {
        for (int h = 0; h < l.heads(); h++) {
          writeSketch(layer, page, offset, h, sketching.get(h));
        }
      }
    }
  }

  @Override
  public boolean sketched(int layer) {
    return bases.containsKey(layer);
  }

  /** The basis of a head of a layer that is sketched. */
  SketchBasis basis(int layer, int head) {
    List<SketchBasis> sketching = bases.get(layer);
    if (sketching == null) {
      throw new IllegalStateException("layer " + layer + " is not sketched");
    }
    return sketching.get(head);
  }

  /** Sketches the key as it is read in 8 bits, so that it does not matter when a basis comes. */
  private void writeSketch(int layer, int page, int offset, int head, SketchBasis basis) {
    int size = basis.size();
    float[] key = new float[size];
    readKey(layer, page, offset, head, key, 0);
    byte[] sketch = new byte[QuantizedKv.sketchBytes(size)];
    int bit = 0;
    for (int c = 0; c < basis.channels(); c++) {
      double turned = 0;
      for (int i = 0; i < size; i++) {
        turned += basis.toKey()[c * size + i] * ((double) key[i] - basis.mean()[i]);
      }
      int half = 1 << (basis.bits()[c] - 1);
      int code = Math.clamp((long) Math.floor(turned / basis.step()[c]) + half, 0, 2 * half - 1);
      for (int b = 0; b < basis.bits()[c]; b++, bit++) {
        sketch[bit / 8] |= (byte) ((code >> b & 1) << (bit % 8));
      }
    }
    MemorySegment.copy(
        sketch,
        0,
        page(layer, page),
        ValueLayout.JAVA_BYTE,
        sketchAt(layer, offset, head),
        sketch.length);
  }

  private long sketchAt(int layer, int offset, int head) {
    return head(layer, head)
        + places[layer].sketches
        + (long) offset * QuantizedKv.sketchBytes(layer(layer).keySize());
  }

  /**
   * What the sketch of a key says of it: {@code target[c]} is about {@code toKey[c] · (k − mean)}.
   */
  void readSketch(int layer, int page, int offset, int head, double[] target) {
    SketchBasis basis = basis(layer, head);
    MemorySegment source = page(layer, page);
    long at = sketchAt(layer, offset, head);
    int bit = 0;
    for (int c = 0; c < basis.channels(); c++) {
      int code = 0;
      for (int b = 0; b < basis.bits()[c]; b++, bit++) {
        code |= (source.get(ValueLayout.JAVA_BYTE, at + bit / 8) >> (bit % 8) & 1) << b;
      }
      int half = 1 << (basis.bits()[c] - 1);
      target[c] = (code - half + 0.5) * basis.step()[c];
    }
  }
}
