package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Lanes.ORDER;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keys and values in 8 bits, with sketches and page means of layers without a window; the numbers
 * are those of {@link QuantizedKv}. Everything but sketches is ordered by token, so that one token
 * can be read without touching its neighbours.
 *
 * <pre>
 *  part of a page    bytes
 *  KEYS              [16 tokens][keySize] int8
 *  KEY_SCALES        [16][groups] float16
 *  VALUES            [16]{ upper nibbles [half] | lower nibbles [half] }       half = ⌈valueSize / 2⌉
 *  VALUE_SCALES      [16][groups] float16
 *  RESIDUALS         [16] float16
 *  SKETCHES          [sketchBytes][64 tokens] for four pages together
 *  MEANS             [valueSize] int8
 *  MEAN_NUMBERS      scale, stretch, spread float16
 *
 *  byte j of a plane of nibbles: channel j in its low, channel half + j in its high nibble
 *
 *  slab:  layer 0, head 0: KEYS of page 0 | page 1 | … | KEY_SCALES of page 0 | … | MEAN_NUMBERS …
 *         layer 0, head 1: …
 * </pre>
 *
 * <p>Sketches of the pages 4k … 4k + 3 of a slab stand together, byte by byte: 64 lanes of bytes
 * are 64 tokens. Parts start at multiples of 64 bytes.
 */
final class Q8KvStorage extends SlabKvStorage {
  /** A part of a page. */
  enum Part {
    KEYS(0),
    KEY_SCALES(1),
    VALUES(2),
    VALUE_SCALES(3),
    RESIDUALS(4),
    SKETCHES(5),
    MEANS(6),
    MEAN_NUMBERS(7);

    /** Place in the tables of the storage. */
    private final int index;

    Part(int index) {
      this.index = index;
    }

    /** Bytes in one head of a page. */
    int bytes(KvSpec.Layer layer) {
      int keys = layer.keySize();
      int values = layer.valueSize();
      boolean summaries = layer.window() == 0;
      return switch (this) {
        case KEYS -> PAGE_TOKENS * keys;
        case KEY_SCALES -> PAGE_TOKENS * Short.BYTES * QuantizedKv.groups(keys);
        case VALUES -> PAGE_TOKENS * 2 * plane(values);
        case VALUE_SCALES -> PAGE_TOKENS * Short.BYTES * QuantizedKv.groups(values);
        case RESIDUALS -> PAGE_TOKENS * Short.BYTES;
        case SKETCHES -> summaries ? PAGE_TOKENS * QuantizedKv.sketchBytes(keys) : 0;
        case MEANS -> summaries ? values : 0;
        case MEAN_NUMBERS -> summaries ? 3 * Short.BYTES : 0;
      };
    }
  }

  static final ValueLayout.OfShort HALF = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
  static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ORDER);

  /** Tokens whose sketches stand together. */
  static final int SKETCH_TOKENS = 4 * PAGE_TOKENS;

  private static final Part[] PARTS = Part.values();
  private static final int ALIGNMENT = 64;

  /** {@code start[layer][part]}: where a part of head 0 of a layer starts in a slab. */
  private final long[][] start;

  /** {@code pageBytes[layer][part]}. */
  private final int[][] pageBytes;

  /** {@code headBytes[layer]}: bytes of a head in a slab. */
  private final long[] headBytes;

  private final long[] slabBytes;
  private final SketchEncoder[] @Nullable [] encoders;
  private volatile boolean anyMeanIsNoNumber;

  Q8KvStorage(KvSpec spec) {
    super(spec, KvFormat.Q8, pageBytes(spec), 2);
    int layers = spec.layers().size();
    start = new long[layers][PARTS.length];
    pageBytes = new int[layers][PARTS.length];
    headBytes = new long[layers];
    encoders = new SketchEncoder[layers][];
    slabBytes = new long[spec.groupWindows().size()];
    for (int i = 0; i < layers; i++) {
      KvSpec.Layer layer = spec.layers().get(i);
      int group = group(i);
      for (Part part : PARTS) {
        pageBytes[i][part.index] = part.bytes(layer);
        start[i][part.index] = slabBytes[group] + headBytes[i];
        headBytes[i] += align((long) part.bytes(layer) << slabShift(group));
      }
      slabBytes[group] += layer.heads() * headBytes[i];
    }
  }

  private static long[] pageBytes(KvSpec spec) {
    long[] bytes = new long[spec.groupWindows().size()];
    for (int i = 0; i < spec.layers().size(); i++) {
      KvSpec.Layer layer = spec.layers().get(i);
      for (Part part : PARTS) {
        bytes[spec.groupOf(i)] += (long) layer.heads() * part.bytes(layer);
      }
    }
    return bytes;
  }

  private static long align(long bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** Bytes of a plane of nibbles of a token's value. */
  static int plane(int valueSize) {
    return (valueSize + 1) / 2;
  }

  @Override
  long slabBytes(int group) {
    return slabBytes[group];
  }

  /** The memory of a page, all layers of its group. */
  MemorySegment memory(int layer, int page) {
    return slab(group(layer), page);
  }

  /**
   * Where a part of a page starts in its {@link #memory}; of sketches, where byte 0 of the page's
   * token 0 is: byte j of token t is at {@code offset + j · SKETCH_TOKENS + t}.
   */
  long offset(Part part, int layer, int page, int head) {
    int inSlab = pageInSlab(group(layer), page);
    long at = start[layer][part.index] + head * headBytes[layer];
    return part == Part.SKETCHES
        ? at
            + (long) (inSlab >> 2) * SKETCH_TOKENS * QuantizedKv.sketchBytes(layer(layer).keySize())
            + (long) (inSlab & 3) * PAGE_TOKENS
        : at + (long) inSlab * pageBytes[layer][part.index];
  }

  private KvSpec.Layer layer(int layer) {
    return spec().layers().get(layer);
  }

  @Override
  public void write(
      int layer, int page, int token, float[] keys, int keysAt, float[] values, int valuesAt) {
    KvSpec.Layer l = layer(layer);
    MemorySegment memory = memory(layer, page);
    Q8Rounding rounding = Q8Rounding.get();
    for (int head = 0; head < l.heads(); head++) {
      rounding.round(keys, keysAt + head * l.keySize(), l.keySize());
      rounding.storeKey(
          memory,
          offset(Part.KEYS, layer, page, head) + (long) token * l.keySize(),
          offset(Part.KEY_SCALES, layer, page, head) + (long) token * scaleBytes(l.keySize()));
      sketch(layer, page, token, head, rounding);
      rounding.round(values, valuesAt + head * l.valueSize(), l.valueSize());
      rounding.storeValue(
          memory,
          offset(Part.VALUES, layer, page, head) + (long) token * 2 * plane(l.valueSize()),
          offset(Part.VALUE_SCALES, layer, page, head) + (long) token * scaleBytes(l.valueSize()),
          offset(Part.RESIDUALS, layer, page, head) + (long) token * Short.BYTES);
    }
  }

  private static int scaleBytes(int size) {
    return Short.BYTES * QuantizedKv.groups(size);
  }

  /** Sketches the key that {@code rounding} has just rounded, if its layer is sketched. */
  private void sketch(int layer, int page, int token, int head, Q8Rounding rounding) {
    SketchEncoder[] ofHeads = encoders[layer];
    if (ofHeads != null) {
      ofHeads[head].write(
          rounding.rounded(),
          memory(layer, page),
          offset(Part.SKETCHES, layer, page, head) + token);
    }
  }

  @Override
  public void readKey(int layer, int page, int token, int head, float[] target, int at) {
    int size = layer(layer).keySize();
    MemorySegment memory = memory(layer, page);
    long codes = offset(Part.KEYS, layer, page, head) + (long) token * size;
    long scales = offset(Part.KEY_SCALES, layer, page, head) + (long) token * scaleBytes(size);
    for (int i = 0; i < size; i++) {
      target[at + i] =
          memory.get(ValueLayout.JAVA_BYTE, codes + i)
              * scale(memory, scales, i / QuantizedKv.GROUP);
    }
  }

  @Override
  public void readValue(int layer, int page, int token, int head, float[] target, int at) {
    int size = layer(layer).valueSize();
    int half = plane(size);
    MemorySegment memory = memory(layer, page);
    long upper = offset(Part.VALUES, layer, page, head) + (long) token * 2 * half;
    long scales = offset(Part.VALUE_SCALES, layer, page, head) + (long) token * scaleBytes(size);
    for (int i = 0; i < size; i++) {
      int shift = i < half ? 0 : 4;
      long byteAt = upper + (i < half ? i : i - half);
      int high = (memory.get(ValueLayout.JAVA_BYTE, byteAt) >> shift) & 15;
      int low = (memory.get(ValueLayout.JAVA_BYTE, byteAt + half) >> shift) & 15;
      target[at + i] = (16 * high + low - 128) * scale(memory, scales, i / QuantizedKv.GROUP);
    }
  }

  private static float scale(MemorySegment memory, long scales, int group) {
    return Float.float16ToFloat(memory.get(HALF, scales + (long) group * Short.BYTES));
  }

  @Override
  public void copyPage(int group, int from, int to, int tokens) {
    MemorySegment source = slab(group, from);
    MemorySegment target = slab(group, to);
    for (int i = 0; i < start.length; i++) {
      if (group(i) == group) {
        for (int head = 0; head < layer(i).heads(); head++) {
          for (Part part : PARTS) {
            long sourceAt = offset(part, i, from, head);
            long targetAt = offset(part, i, to, head);
            if (part == Part.SKETCHES) {
              copySketches(i, source, sourceAt, target, targetAt, tokens);
            } else {
              // Whole pages: what lies behind the tokens is never read, and means follow below.
              MemorySegment.copy(source, sourceAt, target, targetAt, pageBytes[i][part.index]);
            }
          }
        }
      }
    }
    summarise(group, to, tokens);
  }

  private void copySketches(
      int layer, MemorySegment from, long fromAt, MemorySegment to, long toAt, int tokens) {
    if (encoders[layer] == null) {
      return;
    }
    for (int j = 0; j < QuantizedKv.sketchBytes(layer(layer).keySize()); j++) {
      long row = (long) j * SKETCH_TOKENS;
      MemorySegment.copy(from, fromAt + row, to, toAt + row, tokens);
    }
  }

  @Override
  public void summarise(int group, int page, int tokens) {
    for (int i = 0; i < start.length; i++) {
      if (group(i) == group) {
        for (int head = 0; head < layer(i).heads(); head++) {
          summarise(i, page, head, tokens);
        }
      }
    }
  }

  /** The mean of the first {@code tokens} values of one head of a page. */
  void summarise(int layer, int page, int head, int tokens) {
    if (layer(layer).window() == 0 && tokens > 0) {
      PageMean.get().write(this, layer, page, head, tokens);
    }
  }

  @Override
  public void sketch(int layer, List<SketchBasis> bases) {
    KvSpec.Layer l = layer(layer);
    if (l.window() > 0 || bases.size() != l.heads()) {
      throw new IllegalArgumentException(
          "layer %d has %d heads and a window of %d: only layers without a window are sketched, with a basis for each head, not %d"
              .formatted(layer, l.heads(), l.window(), bases.size()));
    }
    SketchEncoder[] fresh = new SketchEncoder[l.heads()];
    for (int head = 0; head < fresh.length; head++) {
      if (bases.get(head).size() != l.keySize()) {
        throw new IllegalArgumentException(
            "a basis for keys of %d: those of layer %d have %d"
                .formatted(bases.get(head).size(), layer, l.keySize()));
      }
      fresh[head] = new SketchEncoder(bases.get(head));
    }
    float[] key = new float[l.keySize()];
    for (int page = 0; page < pages(group(layer)); page++) {
      for (int head = 0; head < fresh.length; head++) {
        for (int token = 0; token < PAGE_TOKENS; token++) {
          readKey(layer, page, token, head, key, 0);
          fresh[head].write(
              key, memory(layer, page), offset(Part.SKETCHES, layer, page, head) + token);
        }
      }
    }
    encoders[layer] = fresh;
  }

  @Override
  public boolean sketched(int layer) {
    return encoders[layer] != null;
  }

  /** The basis of a head of a layer that is sketched. */
  SketchBasis basis(int layer, int head) {
    SketchEncoder[] ofHeads = encoders[layer];
    if (ofHeads == null) {
      throw new IllegalStateException("layer " + layer + " is not sketched");
    }
    return ofHeads[head].basis();
  }

  /** Takes note that the scale of a page's mean is NaN. */
  void meanIsNoNumber() {
    anyMeanIsNoNumber = true;
  }

  /** Whether the mean of some page was ever no number: only then scales need to be looked at. */
  boolean anyMeanIsNoNumber() {
    return anyMeanIsNoNumber;
  }
}
