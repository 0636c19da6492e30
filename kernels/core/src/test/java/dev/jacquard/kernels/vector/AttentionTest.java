package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Attention alone: queries, keys and values are looked up by token, one token a position. */
class AttentionTest {
  private record Case(
      int heads, int kvHeads, int keySize, int valueSize, int window, float softCap, KvFormat kv) {}

  private static final List<Case> CASES =
      List.of(
          new Case(8, 4, 32, 32, 0, 0, KvFormat.F16),
          new Case(32, 4, 64, 64, 0, 0, KvFormat.F16),
          new Case(4, 1, 256, 256, 100, 0, KvFormat.F16),
          new Case(6, 3, 12, 20, 33, 5, KvFormat.F32),
          new Case(3, 3, 16, 128, 0, 0, KvFormat.F32),
          new Case(9, 1, 16, 5, 1, 30, KvFormat.F16),
          new Case(32, 4, 64, 64, 0, 0, KvFormat.Q8),
          new Case(4, 1, 256, 256, 100, 0, KvFormat.Q8),
          new Case(16, 1, 32, 128, 0, 20, KvFormat.Q8),
          new Case(5, 1, 128, 80, 0, 0, KvFormat.Q8),
          new Case(6, 3, 12, 20, 33, 5, KvFormat.Q8),
          new Case(3, 3, 7, 5, 0, 0, KvFormat.Q8));

  private static final int LENGTH = 550;

  /** Where the tokens of a sequence lie: pages in any order, filled as far as chance wants. */
  private static final class Places {
    private final int[] page = new int[LENGTH];
    private final int[] offset = new int[LENGTH];
    private final int[] first = new int[LENGTH];
    private final int pages;

    Places(long seed, boolean full) {
      Random random = new Random(seed);
      int count = 0;
      for (int i = 0; i < LENGTH; ) {
        int fill = full ? KvStorage.PAGE_TOKENS : 1 + random.nextInt(KvStorage.PAGE_TOKENS);
        for (int j = i; j < Math.min(i + fill, LENGTH); j++) {
          page[j] = count;
          offset[j] = j - i;
          first[j] = i;
        }
        i += fill;
        count++;
      }
      pages = count;
    }

    /** Page numbers need not ascend. */
    private int number(int index) {
      return pages - 1 - page[index];
    }

    void add(StepInputs inputs, int from, int to) {
      int sequence = inputs.addSequence();
      for (int i = from; i < to; i++) {
        inputs.setWrite(0, inputs.addRow(sequence, i, i, true), number(i), offset[i]);
      }
      KvView view = inputs.view(sequence, 0);
      for (int i = 0; i < to; i++) {
        if (offset[i] == 0) {
          int end = i;
          while (end < to && first[end] == i) {
            end++;
          }
          view.add(number(i), i, end - i, false);
        }
      }
    }
  }

  private static Weight table(String name, int width, IntToDoubleFunction value) {
    float[] values = new float[LENGTH * width];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) value.applyAsDouble(i);
    }
    return new Weight(name, new Tensor(F32.INSTANCE, Shape.of(width, LENGTH), bytes(values)));
  }

  private static MemorySegment bytes(float[] values) {
    MemorySegment memory = java.lang.foreign.Arena.ofAuto().allocate(4L * values.length, 8);
    F32.INSTANCE.encode(values, 0, values.length, memory, 0);
    return memory;
  }

  private static Program program(
      Case c, IntToDoubleFunction q, IntToDoubleFunction k, IntToDoubleFunction v) {
    Slot query = new Slot("query", c.heads * c.keySize, Domain.ALL);
    Slot key = new Slot("key", c.kvHeads * c.keySize, Domain.ALL);
    Slot value = new Slot("value", c.kvHeads * c.valueSize, Domain.ALL);
    Slot out = new Slot("out", c.heads * c.valueSize, Domain.ALL);
    Slot logits = new Slot("logits", c.heads * c.valueSize, Domain.OUTPUT);
    float scale = (float) (1 / Math.sqrt(c.keySize));
    return new Program(
        List.of(
            new Op.Embed(table("q", query.width(), q), 1, query),
            new Op.Embed(table("k", key.width(), k), 1, key),
            new Op.Embed(table("v", value.width(), v), 1, value),
            new Op.WriteKv(0, key, value),
            new Op.Attention(0, query, out, c.heads, scale, c.window, c.softCap, null),
            new Op.SelectRows(out, logits)),
        new KvSpec(List.of(new KvSpec.Layer(c.kvHeads, c.keySize, c.valueSize, c.window))),
        logits);
  }

  private static IntToDoubleFunction gaussian(long seed, double size) {
    Random random = new Random(seed);
    return i -> random.nextGaussian() * size;
  }

  /** All rows, computed in chunks that end at {@code ends}. */
  private static float[] run(Backend backend, Program program, Case c, Places places, int... ends) {
    int width = program.logits().width();
    float[] all = new float[ends[ends.length - 1] * width];
    try (Executable executable = backend.compile(program, CompileOptions.of(LENGTH, LENGTH));
        KvStorage kv = backend.allocateKv(program.kv(), c.kv)) {
      kv.grow(0, places.pages);
      StepInputs inputs = new StepInputs(LENGTH, 1);
      int from = 0;
      for (int to : ends) {
        inputs.clear();
        places.add(inputs, from, to);
        executable.run(inputs, kv, null);
        for (int i = from; i < to; i++) {
          executable.read(program.logits(), i - from, all, i * width);
        }
        from = to;
      }
    }
    return all;
  }

  private static void assertClose(float[] expected, float[] actual, double bound, Case c) {
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], bound, c + ", value " + i);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {128, 256, 512})
  void everyShapeAgreesWithTheReferenceHoweverItIsCut(int bits) {
    for (Case c : CASES) {
      Program program = program(c, gaussian(1, 2), gaussian(2, 2), gaussian(3, 1));
      Places places = new Places(5, false);
      float[] expected;
      try (Backend reference = Backends.open("reference", new BackendOptions(2))) {
        expected = run(reference, program, c, places, LENGTH);
      }
      float[] first = null;
      for (int threads = 1; threads <= 4; threads++) {
        try (Backend backend = Widths.open(bits, threads)) {
          float[] whole = run(backend, program, c, places, LENGTH);
          assertClose(expected, whole, 2e-5, c);
          first = first == null ? whole : first;
          assertArrayEquals(first, whole, c + " on " + threads + " threads");
          if (threads % 3 != 1) {
            continue;
          }
          assertArrayEquals(
              first,
              run(backend, program, c, places, 1, 2, 3, 7, 200, 201, 255, 256, 257, 258, 400, 550),
              c + " in chunks on " + threads + " threads");
          assertArrayEquals(
              first,
              run(backend, program, c, new Places(0, true), 300, 301, 549, 550),
              c + " in full pages on " + threads + " threads");
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {128, 256, 512})
  void widthsGiveTheSameBits(int bits) {
    for (Case c : CASES) {
      Program program = program(c, gaussian(1, 2), gaussian(2, 2), gaussian(3, 1));
      Places places = new Places(5, false);
      try (Backend one = Widths.open(bits, 2);
          Backend other = Widths.open(256, 1)) {
        assertArrayEquals(
            run(one, program, c, places, 300), run(other, program, c, places, 300), c.toString());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {128, 256, 512})
  void hugeAndEqualScoresKeepTheirWeights(int bits) {
    for (KvFormat format : List.of(KvFormat.F32, KvFormat.Q8)) {
      hugeAndEqualScoresKeepTheirWeights(bits, new Case(2, 1, 16, 16, 0, 0, format));
    }
  }

  private static void hugeAndEqualScoresKeepTheirWeights(int bits, Case c) {
    List<Program> programs =
        List.of(
            program(c, gaussian(1, 1e4), gaussian(2, 1e4), gaussian(3, 1)),
            program(c, i -> 1, i -> 1, gaussian(3, 1)),
            program(c, i -> 0, gaussian(2, 1), gaussian(3, 1)),
            // Scores far below zero everywhere, then one key that outweighs all.
            program(c, i -> 1000, i -> i / 16 == 300 ? 1000 : -1000, gaussian(3, 1)));
    for (Program program : programs) {
      try (Backend reference = Backends.open("reference", new BackendOptions(1));
          Backend backend = Widths.open(bits, 2)) {
        Places places = new Places(9, false);
        assertClose(
            run(reference, program, c, places, LENGTH),
            run(backend, program, c, places, 400, 401, LENGTH),
            2e-5,
            c);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {128, 256, 512})
  void notANumberReachesThoseWhoSeeItAndNobodyElse(int bits) {
    for (KvFormat format : List.of(KvFormat.F16, KvFormat.Q8)) {
      notANumberReachesThoseWhoSeeItAndNobodyElse(bits, new Case(8, 2, 32, 24, 50, 0, format));
    }
  }

  private static void notANumberReachesThoseWhoSeeItAndNobodyElse(int bits, Case c) {
    int width = c.kvHeads * c.keySize;
    int valueWidth = c.kvHeads * c.valueSize;
    IntToDoubleFunction q = gaussian(1, 1);
    IntToDoubleFunction k = gaussian(2, 1);
    IntToDoubleFunction v = gaussian(3, 1);
    List<Program> programs =
        List.of(
            program(c, q, i -> i / width == 300 ? Double.NaN : k.applyAsDouble(i), v),
            program(c, q, k, i -> i / valueWidth == 300 ? Double.NaN : v.applyAsDouble(i)));
    for (Program program : programs) {
      try (Backend backend = Widths.open(bits, 2)) {
        float[] out = run(backend, program, c, new Places(4, false), 290, 320, LENGTH);
        int outWidth = program.logits().width();
        for (int i = 0; i < out.length; i++) {
          int position = i / outWidth;
          assertEquals(
              position >= 300 && position < 350, Float.isNaN(out[i]), "position " + position);
        }
      }
    }
  }

  @Test
  void whatIsReadIsCountedAsTheReferenceCountsIt() {
    for (Case c : CASES) {
      Program program = program(c, gaussian(1, 2), gaussian(2, 2), gaussian(3, 1));
      Places places = new Places(5, false);
      StepInputs inputs = new StepInputs(LENGTH, 1);
      try (Backend reference = Backends.open("reference", new BackendOptions(2));
          Backend backend = Widths.open(512, 2);
          Executable truth = reference.compile(program, CompileOptions.of(LENGTH, LENGTH));
          KvStorage truthKv = reference.allocateKv(program.kv(), c.kv);
          Executable executable = backend.compile(program, CompileOptions.of(LENGTH, LENGTH));
          KvStorage kv = backend.allocateKv(program.kv(), c.kv)) {
        truthKv.grow(0, places.pages);
        kv.grow(0, places.pages);
        // A step that reads nothing but what it wrote, and one that reads more.
        for (int[] rows : new int[][] {{0, 70}, {70, 73}}) {
          inputs.clear();
          places.add(inputs, rows[0], rows[1]);
          truth.run(inputs, truthKv, null);
          executable.run(inputs, kv, null);
          for (int row = 0; row < inputs.rows(); row++) {
            AttentionReport.Row expected = truth.attention().row(row);
            AttentionReport.Row actual = executable.attention().row(row);
            assertTrue(actual.fine() > 0);
            assertEquals(expected.fine(), actual.fine(), c.toString());
            assertEquals(expected.bytesRead(), actual.bytesRead(), c.toString());
            assertEquals(expected.bytesDense(), actual.bytesDense(), c.toString());
          }
        }
      }
    }
  }

  @Test
  void classesThatReadLessNeedACacheInEightBits() {
    Case c = CASES.get(0);
    Program program = program(c, gaussian(1, 2), gaussian(2, 2), gaussian(3, 1));
    Places places = new Places(5, false);
    StepInputs inputs = new StepInputs(LENGTH, 1);
    places.add(inputs, 0, 3);
    inputs.setExactness(0, new Exactness.Certified(0.01));
    try (Backend backend = Widths.open(512, 1);
        Executable executable = backend.compile(program, CompileOptions.of(LENGTH, LENGTH));
        KvStorage kv = backend.allocateKv(program.kv(), c.kv)) {
      kv.grow(0, places.pages);
      IllegalArgumentException refusal =
          assertThrows(IllegalArgumentException.class, () -> executable.run(inputs, kv, null));
      assertTrue(refusal.toString().contains("Q8"), refusal.toString());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void sequencesOfABatchDoNotSeeEachOther(int threads) {
    Case c = CASES.get(1);
    Program program = program(c, gaussian(1, 2), gaussian(2, 2), gaussian(3, 1));
    int width = program.logits().width();
    try (Backend backend = Widths.open(512, threads)) {
      Places places = new Places(5, false);
      float[] alone = run(backend, program, c, places, 540);
      try (Executable executable = backend.compile(program, CompileOptions.of(LENGTH, LENGTH));
          KvStorage kv = backend.allocateKv(program.kv(), c.kv)) {
        kv.grow(0, places.pages);
        StepInputs inputs = new StepInputs(LENGTH, 1);
        places.add(inputs, 0, 530);
        executable.run(inputs, kv, null);
        inputs.clear();
        places.add(inputs, 530, 531);
        // The same pages seen as shorter sequences, whose last token is written again.
        places.add(inputs, 99, 100);
        places.add(inputs, 270, 300);
        executable.run(inputs, kv, null);
        float[] row = new float[width];
        for (int i = 0; i < inputs.rows(); i++) {
          executable.read(program.logits(), i, row, 0);
          int position = inputs.position(i);
          assertArrayEquals(
              java.util.Arrays.copyOfRange(alone, position * width, (position + 1) * width), row);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void finiteInputsGiveFiniteOutputs(boolean full) {
    Case c = CASES.get(5);
    Program program = program(c, gaussian(1, 100), gaussian(2, 100), gaussian(3, 1));
    try (Backend backend = Widths.open(512, 2)) {
      float[] out = run(backend, program, c, new Places(5, full), LENGTH);
      for (float x : out) {
        assertFalse(Float.isNaN(x) || Float.isInfinite(x));
      }
      assertTrue(out.length > 0);
    }
  }
}
