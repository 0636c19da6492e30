package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Addresses and scales, against the storage's own reading; pages of different slabs in one list.
 */
class ListedTokensTest {
  /** So many heads that a slab has no more than four pages. */
  private static final KvSpec SPEC = new KvSpec(List.of(new KvSpec.Layer(450, 256, 72, 0)));

  private static final int[] PAGES = {5, 1, 2, 7, 0};
  private static final int[] BITS = {0x8001, 0x0100, 0xffff, 0x0004, 0x0660};
  private static final int HEAD = 123;

  @Test
  void findsTokensInSeveralSlabs() {
    try (Q8KvStorage kv = new Q8KvStorage(SPEC)) {
      kv.grow(0, 8);
      assertNotSame(kv.memory(0, 3), kv.memory(0, 4), "pages 3 and 4 are to lie in two slabs");
      fill(kv);
      ListedTokens list = new ListedTokens();
      KvView view = new KvView();
      for (int e = 0; e < PAGES.length; e++) {
        view.add(PAGES[e], e * PAGE_TOKENS, PAGE_TOKENS, false);
      }
      for (int repeat = 0; repeat < 2; repeat++) {
        list.clear();
        for (int e = 0; e < PAGES.length; e++) {
          list.add(e, BITS[e]);
        }
        list.locate(kv, view, 0, HEAD, true);
        check(kv, list);
      }
      list.clear();
      list.locate(kv, view, 0, HEAD, true);
      assertEquals(0, list.size());
    }
  }

  private static void fill(Q8KvStorage kv) {
    Random random = new Random(1);
    float[] keys = new float[450 * 256];
    float[] values = new float[450 * 72];
    for (int page : PAGES) {
      for (int token = 0; token < PAGE_TOKENS; token++) {
        for (int i = 0; i < 256; i++) {
          keys[HEAD * 256 + i] = (float) random.nextGaussian();
        }
        for (int i = 0; i < 72; i++) {
          values[HEAD * 72 + i] = (float) random.nextGaussian();
        }
        kv.write(0, page, token, keys, 0, values, 0);
      }
    }
  }

  private static void check(Q8KvStorage kv, ListedTokens list) {
    int i = 0;
    float[] expected = new float[256];
    float[] found = new float[256];
    for (int e = 0; e < PAGES.length; e++) {
      for (int token = 0; token < PAGE_TOKENS; token++) {
        if ((BITS[e] >> token & 1) != 0) {
          assertEquals(e * PAGE_TOKENS + token, list.token(i));
          assertEquals(PAGES[e], list.page(i));
          MemorySegment memory = kv.memory(0, list.page(i));
          kv.readKey(0, PAGES[e], token, HEAD, expected, 0);
          TokenKernels.expandKey(memory, list.key(i), list.keyScales(), i * 8, 256, found, 0);
          assertArrayEquals(expected, found);
          kv.readValue(0, PAGES[e], token, HEAD, expected, 0);
          TokenKernels.expandValue(memory, list.value(i), list.valueScales(i), 72, found, 0);
          assertArrayEquals(expected, found);
          i++;
        }
      }
    }
    assertEquals(i, list.size());
    // Kernels take pairs: behind the last token stands its key once more.
    assertEquals(list.key(i - 1), list.key(i));
    assertEquals(list.keyScales()[i * 8 - 1], list.keyScales()[i * 8 + 7]);
  }
}
