package dev.jacquard.kernels.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ReferenceKvStorageTest {
  private static final KvSpec SPEC =
      new KvSpec(
          List.of(
              new KvSpec.Layer(2, 3, 5, 0),
              new KvSpec.Layer(1, 4, 4, 8),
              new KvSpec.Layer(3, 2, 1, 0)));

  /** A number that says where it was written; exact in half precision. */
  private static float mark(int layer, int page, int offset, int i) {
    return layer * 700 + page * 300 + offset * 16 + i;
  }

  private static void fill(ReferenceKvStorage storage, int layer, int page) {
    KvSpec.Layer l = SPEC.layers().get(layer);
    for (int offset = 0; offset < KvStorage.PAGE_TOKENS; offset++) {
      float[] key = new float[1 + l.heads() * l.keySize()];
      float[] value = new float[2 + l.heads() * l.valueSize()];
      for (int i = 1; i < key.length; i++) {
        key[i] = mark(layer, page, offset, i - 1);
      }
      for (int i = 2; i < value.length; i++) {
        value[i] = -mark(layer, page, offset, i - 2);
      }
      storage.write(layer, page, offset, key, 1, value, 2);
    }
  }

  private static void check(ReferenceKvStorage storage, int layer, int page, int as, int tokens) {
    KvSpec.Layer l = SPEC.layers().get(layer);
    for (int offset = 0; offset < tokens; offset++) {
      for (int head = 0; head < l.heads(); head++) {
        float[] key = new float[l.keySize()];
        float[] value = new float[l.valueSize()];
        storage.readKey(layer, page, offset, head, key, 0);
        storage.readValue(layer, page, offset, head, value, 0);
        for (int i = 0; i < key.length; i++) {
          assertEquals(mark(layer, as, offset, head * l.keySize() + i), key[i]);
        }
        for (int i = 0; i < value.length; i++) {
          assertEquals(-mark(layer, as, offset, head * l.valueSize() + i), value[i]);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = KvFormat.class,
      names = {"F16", "F32"})
  void everyPlaceKeepsItsOwnNumbersWhilePagesAreAddedAndCopied(KvFormat format) {
    try (ReferenceKvStorage storage = ReferenceKvStorage.allocate(SPEC, format)) {
      assertEquals(0, storage.pages(0));
      storage.grow(0, 1);
      storage.grow(1, 2);
      fill(storage, 0, 0);
      fill(storage, 2, 0);
      fill(storage, 1, 0);
      fill(storage, 1, 1);
      storage.grow(0, 2);
      storage.grow(0, 1);
      assertEquals(2, storage.pages(0));
      assertEquals(2, storage.pages(1));
      fill(storage, 0, 1);
      fill(storage, 2, 1);
      for (int page = 0; page < 2; page++) {
        for (int layer = 0; layer < 3; layer++) {
          check(storage, layer, page, page, KvStorage.PAGE_TOKENS);
        }
      }
      storage.copyPage(0, 0, 1, 7);
      check(storage, 0, 1, 0, 7);
      check(storage, 2, 1, 0, 7);
      check(storage, 1, 1, 1, KvStorage.PAGE_TOKENS);
      check(storage, 0, 0, 0, KvStorage.PAGE_TOKENS);
    }
  }

  @Test
  void halfPrecisionRoundsWhatIsWritten() {
    try (ReferenceKvStorage storage = ReferenceKvStorage.allocate(SPEC, KvFormat.F16)) {
      storage.grow(1, 1);
      float[] key = {1 + 1e-4f, 0.1f, 1e6f, -3};
      storage.write(1, 0, 5, key, 0, key, 0);
      float[] read = new float[4];
      storage.readKey(1, 0, 5, 0, read, 0);
      assertArrayEquals(new float[] {1, 0.099975586f, Float.POSITIVE_INFINITY, -3}, read);
    }
  }

  @Test
  void moreMemoryThanThereIsIsAClearException() {
    try (ReferenceKvStorage storage = ReferenceKvStorage.allocate(SPEC, KvFormat.F32)) {
      assertThrows(BackendException.class, () -> storage.grow(0, Integer.MAX_VALUE));
    }
  }
}
