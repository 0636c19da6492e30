package dev.jacquard.kvstore;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.attention.PagedKvCache;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What is placed against what the model computes at the same positions, in a cache of floats. The
 * bound is that of the rounding: half a step for a value; a key is the sum of two rounded numbers
 * times cosine and sine, of which each is at most half a step off.
 */
class PlacingTest {
  /** What single precision adds, relative to the largest number of a head. */
  private static final double FLOATS = 1e-4;

  @TempDir private Path folder = Path.of("");

  @ParameterizedTest
  @CsvSource({
    "llama, reference, 1, 100",
    "llama, reference, 357, 100",
    "llama, reference, 357, 1",
    "llama-llama3, reference, 90, 33",
    "llama-yarn, reference, 1000, 64",
    "llama-bias, vector, 77, 70",
    "gemma3, reference, 1, 300",
    "gemma3, reference, 123, 300",
    "gemma3, vector, 123, 300",
    "gemma3, vector, 19, 150",
  })
  void whatIsPlacedIsWhatIsComputedThere(String model, String backend, int before, int count) {
    try (StoreRig rig = new StoreRig(model, backend, KvFormat.F32);
        KvSequence sequence = rig.cache.newSequence()) {
      KvStore store = rig.store(folder, 1 << 30);
      int[] ids = rig.ids(1, count);
      StoredFile file = rig.record(store, ids, 400);
      rig.run(sequence, before == 1 ? StoreRig.LEAD : rig.ids(2, before), 400, null);
      int start = sequence.length();
      store.place(file, start, start + count, sequence, rig.storage());
      assertEquals(start + count, sequence.length());

      KvView[] placed = rig.views(sequence);
      int[] tokens = IntStream.concat(IntStream.of(StoreRig.LEAD), IntStream.of(ids)).toArray();
      KvView[] computed = rig.runAt(start - 1, tokens);
      KvSpec spec = rig.program.kv();
      for (KvSite site : store.sites()) {
        int layer = site.layer();
        int window = spec.layers().get(layer).window();
        int kept = window == 0 ? count : Math.min(count, window - 1 + PagedKvCache.SLACK);
        for (int p = start + count - kept; p < start + count; p++) {
          compare(rig, site, p, placed[spec.groupOf(layer)], computed[spec.groupOf(layer)]);
        }
      }
    }
  }

  private static void compare(StoreRig rig, KvSite site, int p, KvView placed, KvView computed) {
    KvSpec.Layer layer = rig.program.kv().layers().get(site.layer());
    for (int head = 0; head < layer.heads(); head++) {
      float[] was = key(rig, site.layer(), layer, p, head, placed);
      float[] is = key(rig, site.layer(), layer, p, head, computed);
      double bound = keyBound(is, site.rotary());
      assertClose(is, was, 0, is.length, bound, site + ", position " + p);

      was = value(rig, site.layer(), layer, p, head, placed);
      is = value(rig, site.layer(), layer, p, head, computed);
      for (int at = 0; at < is.length; at += QuantizedKv.GROUP) {
        int end = Math.min(is.length, at + QuantizedKv.GROUP);
        bound = largest(is, at, end) * (0.5 / 127 * (1 + 1e-3) + FLOATS);
        assertClose(is, was, at, end, bound, site + ", position " + p);
      }
    }
  }

  /** Turning leaves the length of a pair alone, so it bounds the numbers as they were stored. */
  private static double keyBound(float[] key, @Nullable RotaryEmbedding rotary) {
    assertNotNull(rotary);
    int pairs = rotary.frequencies().length;
    double longest = largest(key, 2 * pairs, key.length) * rotary.amplitude();
    for (int j = 0; j < pairs; j++) {
      boolean halves = rotary.pairing() == Pairing.HALVES;
      float first = key[halves ? j : 2 * j];
      float second = key[halves ? j + pairs : 2 * j + 1];
      longest = Math.max(longest, Math.hypot(first, second));
    }
    return longest * (Math.sqrt(2) * 0.5 / 127 * (1 + 1e-3) + FLOATS);
  }

  private static double largest(float[] x, int from, int to) {
    double largest = 0;
    for (int i = from; i < to; i++) {
      largest = Math.max(largest, Math.abs(x[i]));
    }
    return largest;
  }

  private static void assertClose(
      float[] expected, float[] found, int from, int to, double bound, String where) {
    for (int i = from; i < to; i++) {
      double difference = Math.abs(expected[i] - found[i]);
      int channel = i;
      assertTrue(
          difference <= bound,
          () -> where + ", channel " + channel + ": " + difference + " > " + bound);
    }
  }

  private static float[] key(
      StoreRig rig, int layer, KvSpec.Layer sizes, int p, int head, KvView view) {
    float[] key = new float[sizes.keySize()];
    int i = entry(view, p);
    rig.storage().readKey(layer, view.page(i), p - view.firstPosition(i), head, key, 0);
    return key;
  }

  private static float[] value(
      StoreRig rig, int layer, KvSpec.Layer sizes, int p, int head, KvView view) {
    float[] value = new float[sizes.valueSize()];
    int i = entry(view, p);
    rig.storage().readValue(layer, view.page(i), p - view.firstPosition(i), head, value, 0);
    return value;
  }

  private static int entry(KvView view, int position) {
    for (int i = 0; i < view.size(); i++) {
      int first = view.firstPosition(i);
      if (position >= first && position < first + view.length(i)) {
        return i;
      }
    }
    throw new AssertionError("position " + position + " is not held");
  }

  /** In a cache of 8 bits the values of a placed file have the bits of computed ones. */
  @ParameterizedTest
  @CsvSource({"llama, reference", "gemma3, reference", "llama, vector", "gemma3, vector"})
  void valuesInEightBitsAreThoseThatAreComputed(String model, String backend) {
    try (StoreRig rig = new StoreRig(model, backend, KvFormat.Q8);
        KvSequence placed = rig.cache.newSequence();
        KvSequence computed = rig.cache.newSequence()) {
      KvStore store = rig.store(folder, 1 << 30);
      int[] ids = rig.ids(1, 60);
      StoredFile file = rig.record(store, ids, 400);
      rig.run(placed, StoreRig.LEAD, 400, null);
      store.place(file, 1, 61, placed, rig.storage());
      rig.run(
          computed,
          IntStream.concat(IntStream.of(StoreRig.LEAD), IntStream.of(ids)).toArray(),
          400,
          null);
      KvView[] placedViews = rig.views(placed);
      KvView[] computedViews = rig.views(computed);
      KvSpec spec = rig.program.kv();
      for (int l = 0; l < spec.layers().size(); l++) {
        int group = spec.groupOf(l);
        KvSpec.Layer layer = spec.layers().get(l);
        for (int p = 1; p <= 60; p++) {
          for (int head = 0; head < layer.heads(); head++) {
            assertArrayEquals(
                value(rig, l, layer, p, head, computedViews[group]),
                value(rig, l, layer, p, head, placedViews[group]));
          }
        }
      }
    }
  }

  /** What was read can be rounded again without a change. */
  @ParameterizedTest
  @CsvSource({"llama", "gemma3"})
  void roundingAgainChangesNothing(String model) {
    try (StoreRig rig = new StoreRig(model, "reference", KvFormat.F32)) {
      KvStore store = rig.store(folder, 1 << 30);
      StoredFile file = rig.record(store, rig.ids(1, 90), 400);
      try (StoreReader reader = StoreReader.open(file)) {
        for (int l = 0; l < rig.program.kv().layers().size(); l++) {
          KvSpec.Layer layer = rig.program.kv().layers().get(l);
          byte[] bytes = new byte[StoreLayout.recordBytes(layer)];
          reader.read(l, 50, bytes);
          byte[] again = new byte[QuantizedKv.keyBytes(layer.keySize())];
          float[] numbers = new float[layer.keySize()];
          Q8Vectors.decode(bytes, 0, layer.keySize(), numbers, 0);
          assertTrue(Q8Vectors.encode(numbers, 0, layer.keySize(), again, 0));
          assertArrayEquals(java.util.Arrays.copyOf(bytes, again.length), again);
        }
      }
    }
  }

  /** The bits of a file do not depend on how its tokens were cut into steps. */
  @ParameterizedTest
  @CsvSource({"llama, reference", "gemma3, reference", "gemma3, vector"})
  void stepsDoNotMatter(String model, String backend) throws IOException {
    try (StoreRig rig = new StoreRig(model, backend, KvFormat.F16)) {
      int[] ids = rig.ids(3, 250);
      List<byte[]> contents = new ArrayList<>();
      for (int rows : new int[] {400, 1, 7, 160}) {
        Path own = folder.resolve("rows" + rows);
        StoredFile file = rig.record(rig.store(own, 1 << 30), ids, rows);
        contents.add(Files.readAllBytes(file.path()));
        assertEquals(file.bytes(), contents.getLast().length);
        assertArrayEquals(contents.getFirst(), contents.getLast(), "steps of " + rows);
      }
    }
  }

  /** A sequence goes on, back and apart as if its tokens had been computed. */
  @ParameterizedTest
  @CsvSource({"llama", "gemma3"})
  void aSequenceThatWasPlacedCanGoBackAndFork(String model) {
    try (StoreRig rig = new StoreRig(model, "reference", KvFormat.F32);
        KvSequence sequence = rig.cache.newSequence()) {
      KvStore store = rig.store(folder, 1 << 30);
      int[] ids = rig.ids(1, 300);
      StoredFile file = rig.record(store, ids, 400);
      rig.run(sequence, rig.ids(2, 21), 400, null);
      store.place(file, 21, 21 + 300, sequence, rig.storage());
      assertTrue(sequence.canTruncate(321 - PagedKvCache.SLACK));
      try (KvSequence fork = sequence.fork()) {
        fork.truncate(321 - PagedKvCache.SLACK);
        rig.run(fork, rig.ids(4, 40), 400, null);
        assertEquals(321 - PagedKvCache.SLACK + 40, fork.length());
      }
      rig.run(sequence, rig.ids(4, 40), 400, null);
      assertEquals(361, sequence.length());
      int pages = 0;
      for (KvView view : rig.views(sequence)) {
        pages += view.size();
      }
      assertTrue(pages > 0);
    }
  }
}
