package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class VectorKvStorageTest {
  private static final KvSpec SPEC =
      new KvSpec(
          List.of(
              new KvSpec.Layer(2, 12, 20, 0),
              new KvSpec.Layer(3, 64, 64, 32),
              new KvSpec.Layer(1, 16, 5, 0)));

  @ParameterizedTest
  @EnumSource(
      value = KvFormat.class,
      names = {"F16", "F32"})
  void whatIsWrittenIsReadRoundedToTheFormat(KvFormat format) {
    try (VectorKvStorage kv = new VectorKvStorage(SPEC, format)) {
      kv.grow(0, 3);
      kv.grow(1, 3);
      Random random = new Random(1);
      float[][][][] keys = new float[SPEC.layers().size()][3][KvStorage.PAGE_TOKENS][];
      float[][][][] values = new float[SPEC.layers().size()][3][KvStorage.PAGE_TOKENS][];
      for (int l = 0; l < SPEC.layers().size(); l++) {
        KvSpec.Layer layer = SPEC.layers().get(l);
        for (int page = 0; page < 3; page++) {
          for (int token = 0; token < KvStorage.PAGE_TOKENS; token++) {
            float[] key = random(random, 3 + layer.heads() * layer.keySize());
            float[] value = random(random, 1 + layer.heads() * layer.valueSize());
            kv.write(l, page, token, key, 3, value, 1);
            keys[l][page][token] = key;
            values[l][page][token] = value;
          }
        }
      }
      kv.grow(0, 500);
      for (int l = 0; l < SPEC.layers().size(); l++) {
        KvSpec.Layer layer = SPEC.layers().get(l);
        int stride = layer.valueSize() + 3;
        float[] read = new float[KvStorage.PAGE_TOKENS * Math.max(layer.keySize(), stride)];
        for (int page = 0; page < 3; page++) {
          for (int head = 0; head < layer.heads(); head++) {
            kv.readKeys(l, page, head, read, 0);
            for (int t = 0; t < KvStorage.PAGE_TOKENS; t++) {
              for (int d = 0; d < layer.keySize(); d++) {
                assertEquals(
                    rounded(keys[l][page][t][3 + head * layer.keySize() + d], format),
                    read[d * KvStorage.PAGE_TOKENS + t]);
              }
            }
            kv.readValues(l, page, head, KvStorage.PAGE_TOKENS, read, 0, stride);
            for (int t = 0; t < KvStorage.PAGE_TOKENS; t++) {
              for (int d = 0; d < layer.valueSize(); d++) {
                assertEquals(
                    rounded(values[l][page][t][1 + head * layer.valueSize() + d], format),
                    read[t * stride + d]);
              }
            }
          }
        }
      }
    }
  }

  private static float[] random(Random random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(12) - 8));
    }
    return x;
  }

  private static float rounded(float x, KvFormat format) {
    return switch (format) {
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(x));
      case F32 -> x;
      case Q8 -> throw new IllegalArgumentException("rounded in groups");
    };
  }

  @Test
  void copiesOfPagesHoldTheirTokens() {
    try (VectorKvStorage kv = new VectorKvStorage(SPEC, KvFormat.F16)) {
      kv.grow(1, 200);
      float[] key = random(new Random(2), 3 * 64);
      float[] value = random(new Random(3), 3 * 64);
      kv.write(1, 1, 4, key, 0, value, 0);
      kv.copyPage(1, 1, 199, 5);
      float[] one = new float[KvStorage.PAGE_TOKENS * 64];
      float[] other = new float[KvStorage.PAGE_TOKENS * 64];
      for (int head = 0; head < 3; head++) {
        kv.readKeys(1, 1, head, one, 0);
        kv.readKeys(1, 199, head, other, 0);
        assertEquals(one[4], other[4]);
        assertEquals(rounded(key[head * 64], KvFormat.F16), other[4]);
        kv.readValues(1, 199, head, 5, other, 0, 64);
        assertEquals(rounded(value[head * 64 + 9], KvFormat.F16), other[4 * 64 + 9]);
      }
    }
  }

  @Test
  void growingTakesWholeSlabsAndClosingTwiceIsFine() {
    VectorKvStorage kv = new VectorKvStorage(SPEC, KvFormat.F32);
    kv.grow(0, 1);
    int pages = kv.pages(0);
    assertTrue(pages >= 1);
    kv.grow(0, pages);
    assertEquals(pages, kv.pages(0));
    kv.grow(0, pages + 1);
    assertTrue(kv.pages(0) > pages);
    kv.close();
    kv.close();
  }
}
