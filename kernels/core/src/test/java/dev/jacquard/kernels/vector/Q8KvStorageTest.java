package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.kernels.reference.ReferenceParts;
import dev.jacquard.kernels.testing.SketchBases;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Every part of the storage, bit for bit against the reference's. */
class Q8KvStorageTest {
  private static final KvSpec SPEC =
      new KvSpec(
          List.of(
              new KvSpec.Layer(2, 12, 20, 0),
              new KvSpec.Layer(3, 64, 64, 32),
              new KvSpec.Layer(1, 16, 5, 0),
              new KvSpec.Layer(1, 256, 256, 0),
              new KvSpec.Layer(2, 7, 7, 0),
              new KvSpec.Layer(4, 128, 64, 0)));

  private static final int PAGES = 9;
  private static final int COPY = PAGES;
  private static final int COPIED = 5;

  /** How many tokens the mean of each page is of. */
  private static final int[] SUMMARISED = {16, 1, 7, 16, 16, 16, 16, 16, 13};

  private final ReferenceParts reference = new ReferenceParts(SPEC);
  private final Q8KvStorage kv = new Q8KvStorage(SPEC);
  private final Random random = new Random(1);

  @AfterEach
  void close() {
    reference.storage().close();
    kv.close();
  }

  private interface Action {
    void on(KvStorage storage);
  }

  private void both(Action action) {
    action.on(reference.storage());
    action.on(kv);
  }

  @Test
  void allPartsHaveTheBitsOfTheReference() {
    for (int group = 0; group < 2; group++) {
      int g = group;
      both(storage -> storage.grow(g, PAGES + 1));
    }
    // Two layers are sketched as they are written, the others afterwards.
    sketch(0);
    sketch(2);
    fill();
    for (int layer = 3; layer < SPEC.layers().size(); layer++) {
      sketch(layer);
    }
    for (int group = 0; group < 2; group++) {
      for (int page = 0; page < PAGES; page++) {
        int g = group;
        int p = page;
        both(storage -> storage.summarise(g, p, SUMMARISED[p]));
      }
      int g = group;
      both(storage -> storage.copyPage(g, 0, COPY, COPIED));
    }
    for (int layer = 0; layer < SPEC.layers().size(); layer++) {
      for (int head = 0; head < SPEC.layers().get(layer).heads(); head++) {
        for (int page = 0; page <= PAGES; page++) {
          for (int token = 0; token < (page == COPY ? COPIED : PAGE_TOKENS); token++) {
            assertSameToken(layer, page, token, head);
          }
          if (SPEC.layers().get(layer).window() == 0) {
            assertSameMean(layer, page, head);
          }
        }
      }
    }
  }

  private void sketch(int layer) {
    List<SketchBasis> bases = SketchBases.of(SPEC.layers().get(layer), 7 + layer);
    both(storage -> storage.sketch(layer, bases));
  }

  /** Pages of usual, zero, tiny, huge, mixed numbers, and some that are no numbers. */
  private void fill() {
    for (int layer = 0; layer < SPEC.layers().size(); layer++) {
      KvSpec.Layer l = SPEC.layers().get(layer);
      for (int page = 0; page < PAGES; page++) {
        for (int token = 0; token < PAGE_TOKENS; token++) {
          float[] keys = numbers(3 + l.heads() * l.keySize(), page, token);
          float[] values = numbers(1 + l.heads() * l.valueSize(), page, token);
          if (page == 6 && token == 3) {
            keys[5] = Float.NaN;
          }
          if (page == 7 && token == 7) {
            values[3] = Float.NEGATIVE_INFINITY;
          }
          int at = layer;
          int p = page;
          int t = token;
          both(storage -> storage.write(at, p, t, keys, 3, values, 1));
        }
      }
    }
  }

  private float[] numbers(int count, int page, int token) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      double size =
          switch (page) {
            case 3 -> token == 2 ? 0 : 1;
            case 4 -> 1e-8;
            case 5 -> 1e8;
            case 8 -> Math.pow(10, random.nextInt(12) - 8);
            default -> 2;
          };
      x[i] = (float) (random.nextGaussian() * size);
    }
    return x;
  }

  private void assertSameToken(int layer, int page, int token, int head) {
    KvSpec.Layer l = SPEC.layers().get(layer);
    String where = "layer %d, page %d, token %d, head %d".formatted(layer, page, token, head);
    float[] expected = new float[Math.max(l.keySize(), l.valueSize())];
    float[] actual = new float[expected.length];
    reference.storage().readKey(layer, page, token, head, expected, 0);
    kv.readKey(layer, page, token, head, actual, 0);
    assertArrayEquals(expected, actual, where);
    Arrays.fill(expected, 0);
    Arrays.fill(actual, 0);
    reference.storage().readValue(layer, page, token, head, expected, 0);
    kv.readValue(layer, page, token, head, actual, 0);
    assertArrayEquals(expected, actual, where);
    new Q8Expansion().values(kv, layer, page, head, token, 1, actual, 0, l.valueSize());
    assertArrayEquals(expected, actual, where);
    assertEquals(
        reference.residual(layer, page, token, head),
        half(layer, page, kv.offset(Part.RESIDUALS, layer, page, head) + 2L * token),
        where);
    reference.readCoarseValue(layer, page, token, head, expected);
    for (int c = 0; c < l.valueSize(); c++) {
      assertEquals(expected[c], coarse(layer, page, token, head, c), where);
    }
    if (l.window() == 0) {
      double[] sketch = new double[kv.basis(layer, head).channels()];
      reference.readSketch(layer, page, token, head, sketch);
      assertArrayEquals(sketch, sketch(layer, page, token, head), where);
    }
  }

  private float half(int layer, int page, long at) {
    return Float.float16ToFloat(kv.memory(layer, page).get(Q8KvStorage.HALF, at));
  }

  private float coarse(int layer, int page, int token, int head, int channel) {
    int size = SPEC.layers().get(layer).valueSize();
    int plane = Q8KvStorage.plane(size);
    long at = kv.offset(Part.VALUES, layer, page, head) + (long) token * 2 * plane;
    int both = kv.memory(layer, page).get(ValueLayout.JAVA_BYTE, at + channel % plane);
    int upper = (channel < plane ? both : both >> 4) & 15;
    int group = token * ((size + 31) / 32) + channel / 32;
    return half(layer, page, kv.offset(Part.VALUE_SCALES, layer, page, head) + 2L * group)
        * (16 * upper + 8 - 128);
  }

  private double[] sketch(int layer, int page, int token, int head) {
    SketchBasis basis = kv.basis(layer, head);
    MemorySegment memory = kv.memory(layer, page);
    long at = kv.offset(Part.SKETCHES, layer, page, head) + token;
    double[] sketch = new double[basis.channels()];
    int bit = 0;
    for (int c = 0; c < sketch.length; c++) {
      int code = 0;
      for (int i = 0; i < basis.bits()[c]; i++, bit++) {
        long row = (long) (bit / 8) * Q8KvStorage.SKETCH_TOKENS;
        code |= (memory.get(ValueLayout.JAVA_BYTE, at + row) >> (bit % 8) & 1) << i;
      }
      sketch[c] = (code - (1 << (basis.bits()[c] - 1)) + 0.5) * basis.step()[c];
    }
    return sketch;
  }

  private void assertSameMean(int layer, int page, int head) {
    String where = "layer %d, page %d, head %d".formatted(layer, page, head);
    long at = kv.offset(Part.MEAN_NUMBERS, layer, page, head);
    float[] numbers = {half(layer, page, at), half(layer, page, at + 2), half(layer, page, at + 4)};
    assertArrayEquals(reference.meanNumbers(layer, page, head), numbers, where);
    float[] expected = new float[SPEC.layers().get(layer).valueSize()];
    reference.readMean(layer, page, head, expected);
    long codes = kv.offset(Part.MEANS, layer, page, head);
    for (int c = 0; c < expected.length; c++) {
      assertEquals(
          expected[c],
          numbers[0] * kv.memory(layer, page).get(ValueLayout.JAVA_BYTE, codes + c),
          where);
    }
  }

  @Test
  void partsOfAllPagesAndHeadsLieInTheirSlabWithoutOverlap() {
    kv.grow(0, 1);
    assertEquals(0, kv.pages(0) % 4);
    int pages = kv.pages(0);
    byte[] owners = new byte[(int) kv.memory(0, 0).byteSize()];
    for (int layer = 0; layer < SPEC.layers().size(); layer++) {
      if (kv.group(layer) == 0) {
        for (int head = 0; head < SPEC.layers().get(layer).heads(); head++) {
          for (Part part : Part.values()) {
            for (int page = 0; page < pages; page++) {
              claim(owners, part, layer, page, head);
            }
          }
        }
      }
    }
    double perToken = 0;
    for (byte owner : owners) {
      perToken += owner;
    }
    perToken /= pages * (double) PAGE_TOKENS;
    // Values of odd size take half a byte more.
    assertEquals(SPEC.tokenBytes(0, KvFormat.Q8) + 3, perToken, 1e-9);
  }

  private void claim(byte[] owners, Part part, int layer, int page, int head) {
    long at = kv.offset(part, layer, page, head);
    int bytes = part.bytes(SPEC.layers().get(layer));
    for (int i = 0; i < bytes; i++) {
      int place =
          part == Part.SKETCHES ? i / PAGE_TOKENS * Q8KvStorage.SKETCH_TOKENS + i % PAGE_TOKENS : i;
      assertEquals(0, owners[(int) at + place]++, part + " of page " + page);
    }
  }

  @Test
  void kernelsStayInTheSlabOnItsLastPage() {
    for (int layer = 0; layer < SPEC.layers().size(); layer++) {
      KvSpec.Layer l = SPEC.layers().get(layer);
      kv.grow(kv.group(layer), 1);
      int last = kv.pages(kv.group(layer)) - 1;
      int head = l.heads() - 1;
      float[] keys = numbers(l.heads() * l.keySize(), 0, 0);
      float[] values = numbers(l.heads() * l.valueSize(), 0, 0);
      kv.write(layer, last, PAGE_TOKENS - 1, keys, 0, values, 0);
      MemorySegment memory = kv.memory(layer, last);
      int[] words = new int[Q8KeyKernels.pageWords(Q8KeyKernels.filled(l.keySize()))];
      long at = kv.offset(Part.KEYS, layer, last, head);
      Q8KeyKernels.transpose(memory, at, l.keySize(), words, 0);
      long code = at + (long) (PAGE_TOKENS - 1) * l.keySize();
      assertEquals(memory.get(ValueLayout.JAVA_BYTE, code), (byte) words[PAGE_TOKENS - 1]);
      int stride = Q8ValueKernels.filled(l.valueSize());
      byte[] codes = new byte[PAGE_TOKENS * stride];
      at = kv.offset(Part.VALUES, layer, last, head);
      Q8ValueKernels.join(
          memory, at, Q8KvStorage.plane(l.valueSize()), PAGE_TOKENS, codes, 0, stride);
      float[] value = new float[l.valueSize()];
      kv.readValue(layer, last, PAGE_TOKENS - 1, head, value, 0);
      assertEquals(Math.signum(value[0]), Math.signum(codes[(PAGE_TOKENS - 1) * stride]));
    }
  }

  @Test
  void basesMustFit() {
    List<SketchBasis> bases = SketchBases.of(SPEC.layers().get(0), 1);
    assertFalse(kv.sketched(0));
    assertThrows(IllegalArgumentException.class, () -> kv.sketch(0, bases.subList(0, 1)));
    assertThrows(IllegalArgumentException.class, () -> kv.sketch(1, bases));
    assertThrows(IllegalArgumentException.class, () -> kv.sketch(4, bases));
    assertThrows(IllegalStateException.class, () -> kv.basis(0, 0));
    kv.sketch(0, bases);
    assertTrue(kv.sketched(0));
  }
}
