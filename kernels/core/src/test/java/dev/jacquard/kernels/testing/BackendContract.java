package dev.jacquard.kernels.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Op.Linear;
import dev.jacquard.kernels.Op.Projection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.reference.ReferenceBackend;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.format.F32;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every backend must do. A backend's test is a subclass that opens it:
 *
 * <pre>
 *  class VectorBackendTest extends BackendContract {
 *    protected Backend open(BackendOptions options) { return new VectorBackend(options); }
 *  }
 * </pre>
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class BackendContract {
  private final List<Backend> opened = new ArrayList<>();
  private final Backend reference = new ReferenceBackend(new BackendOptions(2));

  /** Opens the backend under test. */
  protected abstract Backend open(BackendOptions options);

  /** How far an op may be from the truth; see {@link ErrorBounds}. */
  protected double bound(Op op) {
    return ErrorBounds.of(op);
  }

  /** What a case should give. */
  protected Results truth(OpCase test) {
    return new CaseRunner(longest(test), true).run(test, reference);
  }

  @BeforeAll
  final void openAll() {
    for (int threads = 1; threads <= 3; threads++) {
      opened.add(open(new BackendOptions(threads)));
    }
  }

  @AfterAll
  final void closeAll() {
    opened.forEach(Backend::close);
    opened.forEach(Backend::close);
    reference.close();
  }

  private Backend backend(int threads) {
    return opened.get(threads - 1);
  }

  private static int longest(OpCase test) {
    return test.sequences().stream().mapToInt(i -> i).max().orElseThrow();
  }

  static Stream<OpCase> ops() {
    return OpCases.all();
  }

  static Stream<OpCase> decoders() {
    return ElementFormats.all().stream().map(OpCases::decoder);
  }

  @ParameterizedTest
  @MethodSource("ops")
  final void anOpIsCloseToTheTruth(OpCase test) {
    Results results = new CaseRunner(longest(test), true).run(test, backend(1));
    results.requireClose(truth(test), bound(test.op()), test.name());
  }

  @ParameterizedTest
  @MethodSource({"ops", "decoders"})
  final void theBitsDependOnTheSequenceOnly(OpCase test) {
    Results whole = new CaseRunner(longest(test), true).run(test, backend(1));
    int[] chunks = {1, 2, 3, 4, 5, 7, 8, 13, 16, longest(test)};
    for (int i = 0; i < chunks.length; i++) {
      int threads = 1 + i % opened.size();
      boolean together = i % 2 == 0;
      Results other = new CaseRunner(chunks[i], together).run(test, backend(threads));
      whole.requireSameBits(
          other,
          "%s, %d threads, chunks of %d, sequences %s"
              .formatted(test, threads, chunks[i], together ? "together" : "alone"));
    }
  }

  @ParameterizedTest
  @MethodSource("decoders")
  final void anObserverSeesOpsInOrderAndChangesNothing(OpCase test) {
    List<Op> ops = test.program().ops();
    List<Integer> seen = new ArrayList<>();
    CaseRunner runner = new CaseRunner(longest(test), true);
    Results watched =
        runner.run(
            test,
            backend(1),
            (index, op) -> {
              assertSame(ops.get(index), op);
              seen.add(index);
            });
    assertEquals(seen.stream().sorted().distinct().toList(), seen);
    assertEquals(ops.size() - 1, seen.getLast());
    watched.requireSameBits(runner.run(test, backend(1)), test.name());
  }

  @ParameterizedTest
  @MethodSource("ops")
  final void everyOpIsSupportedByAKernelWithAName(OpCase test) {
    assertNull(backend(1).support(test.op()).refusal());
    assertTrue(!backend(1).support(test.op()).kernel().isBlank());
  }

  static Stream<ElementFormat> formats() {
    return ElementFormats.all().stream();
  }

  @ParameterizedTest
  @MethodSource("formats")
  final void aRowThatIsNoNumberSpoilsNoOther(ElementFormat format) {
    int width = format.blockSize() > 32 ? format.blockSize() : 96;
    Weight matrix = OpCases.matrix("w", format, 50, width);
    float[] values = new float[4 * width];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i);
    }
    Results clean = product(matrix, values);
    values[width + 5] = Float.NaN;
    Results dirty = product(matrix, values);
    Results cleanRows = new Results();
    Results dirtyRows = new Results();
    for (int row : new int[] {0, 2, 3}) {
      clean.copy(row, cleanRows);
      dirty.copy(row, dirtyRows);
    }
    cleanRows.requireSameBits(dirtyRows, format.name());
    dirty.requireNotANumber(1);
  }

  private Results product(Weight matrix, float[] rows) {
    int width = matrix.columns();
    Slot x = new Slot("x", width, Slot.Domain.ALL);
    Slot y = new Slot("y", matrix.rows(), Slot.Domain.ALL);
    Weight table =
        new Weight(
            "rows", OpCases.tensor(F32.INSTANCE, Shape.of(width, rows.length / width), rows));
    Program program =
        new Program(
            List.of(
                new Op.Embed(table, 1, x),
                new Op.MatMul(x, List.of(new Projection(new Linear(matrix, null), y)))),
            new KvSpec(List.of()),
            y);
    StepInputs inputs = new StepInputs(rows.length / width, 0);
    inputs.addSequence();
    Results results = new Results();
    try (Executable executable =
            backend(1).compile(program, CompileOptions.of(inputs.maxRows(), 1));
        KvStorage kv = backend(1).allocateKv(program.kv(), KvFormat.F32)) {
      for (int row = 0; row < inputs.maxRows(); row++) {
        inputs.addRow(0, row, row, false);
      }
      executable.run(inputs, kv, null);
      for (int row = 0; row < inputs.maxRows(); row++) {
        float[] values = new float[y.width()];
        executable.read(y, row, values, 0);
        results.put(y, 0, row, values);
      }
    }
    return results;
  }

  @Test
  final void theNextOpReadsWhatAnObserverWrites() {
    int width = 96;
    Slot x = new Slot("x", width, Slot.Domain.ALL);
    Slot y = new Slot("y", 50, Slot.Domain.ALL);
    float[] numbers = new float[4 * width];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) Math.cos(i);
    }
    Weight table = new Weight("rows", OpCases.tensor(F32.INSTANCE, Shape.of(width, 4), numbers));
    Weight matrix = OpCases.matrix("w", F32.INSTANCE, y.width(), width);
    Program program =
        new Program(
            List.of(
                new Op.Embed(table, 1, x),
                new Op.MatMul(x, List.of(new Projection(new Linear(matrix, null), y)))),
            new KvSpec(List.of()),
            y);
    StepInputs inputs = new StepInputs(3, 0);
    inputs.addSequence();
    for (int row = 0; row < 3; row++) {
      inputs.addRow(0, row, row, false);
    }
    try (Executable executable = backend(2).compile(program, CompileOptions.of(3, 1));
        KvStorage kv = backend(2).allocateKv(program.kv(), KvFormat.F32)) {
      executable.run(inputs, kv, null);
      float[][] plain = rows(executable, y, 3);
      executable.run(
          inputs,
          kv,
          (index, op) -> {
            if (index == 0) {
              float[] first = new float[width];
              executable.read(x, 0, first, 0);
              Assertions.assertArrayEquals(Arrays.copyOf(numbers, width), first);
              executable.write(x, 2, first, 0);
              executable.write(x, 0, numbers, 2 * width);
            }
          });
      float[][] exchanged = rows(executable, y, 3);
      Assertions.assertArrayEquals(plain[2], exchanged[0]);
      Assertions.assertArrayEquals(plain[1], exchanged[1]);
      Assertions.assertArrayEquals(plain[0], exchanged[2]);
    }
  }

  private static float[][] rows(Executable executable, Slot slot, int count) {
    float[][] rows = new float[count][slot.width()];
    for (int row = 0; row < count; row++) {
      executable.read(slot, row, rows[row], 0);
    }
    return rows;
  }

  @Test
  final void aCopiedPageIsAsGoodAsTheFirst() {
    OpCase test = OpCases.decoder(F32.INSTANCE);
    try (Executable executable = backend(1).compile(test.program(), CompileOptions.of(16, 16));
        KvStorage kv = backend(1).allocateKv(test.program().kv(), test.kvFormat())) {
      StepInputs inputs = new StepInputs(16, 2);
      for (int g = 0; g < 2; g++) {
        kv.grow(g, 1);
      }
      step(inputs, test, 0, 0, 9);
      executable.run(inputs, kv, null);
      for (int g = 0; g < 2; g++) {
        kv.grow(g, 40);
        assertTrue(kv.pages(g) >= 40);
        kv.copyPage(g, 0, 33, 9);
      }
      float[] copy = new float[test.program().logits().width()];
      step(inputs, test, 33, 9, 1);
      executable.run(inputs, kv, null);
      executable.read(test.program().logits(), 0, copy, 0);
      float[] original = new float[copy.length];
      step(inputs, test, 0, 9, 1);
      executable.run(inputs, kv, null);
      executable.read(test.program().logits(), 0, original, 0);
      Assertions.assertArrayEquals(original, copy);
    }
  }

  /** Rows of one sequence in one page, the last with its output. */
  private static void step(StepInputs inputs, OpCase test, int page, int first, int count) {
    inputs.clear();
    int sequence = inputs.addSequence();
    for (int position = first; position < first + count; position++) {
      int row =
          inputs.addRow(sequence, position, test.token(0, position), position == first + count - 1);
      for (int g = 0; g < 2; g++) {
        inputs.setWrite(g, row, page, position);
      }
    }
    for (int g = 0; g < 2; g++) {
      inputs.view(sequence, g).add(page, 0, first + count, false);
    }
  }

  @Test
  final void misuseIsRefused() {
    OpCase test = OpCases.decoder(F32.INSTANCE);
    StepInputs inputs = new StepInputs(8, 2);
    Executable executable = backend(1).compile(test.program(), CompileOptions.of(4, 2));
    try (KvStorage kv = backend(1).allocateKv(test.program().kv(), test.kvFormat());
        KvStorage other = backend(1).allocateKv(new KvSpec(List.of()), test.kvFormat())) {
      kv.grow(0, 1);
      kv.grow(1, 1);
      assertTrue(executable.weightBytesPerStep() > 0);
      assertTrue(executable.ownBytes() >= 0);

      step(inputs, test, 0, 0, 5);
      refused(IllegalArgumentException.class, executable, inputs, kv);
      step(inputs, test, 0, 0, 4);
      refused(IllegalArgumentException.class, executable, inputs, other);
      for (int token : new int[] {-1, test.vocabulary()}) {
        inputs.clear();
        inputs.addRow(inputs.addSequence(), 0, token, true);
        inputs.view(0, 0).add(0, 0, 1, false);
        inputs.view(0, 1).add(0, 0, 1, false);
        refused(IllegalArgumentException.class, executable, inputs, kv);
      }
      inputs.clear();
      executable.run(inputs, kv, null);
      step(inputs, test, 0, 0, 4);
      executable.run(inputs, kv, null);
      executable.close();
      executable.close();
      refused(IllegalStateException.class, executable, inputs, kv);
    }
  }

  private static void refused(
      Class<? extends RuntimeException> type, Executable executable, StepInputs in, KvStorage kv) {
    assertThrows(type, () -> executable.run(in, kv, null));
  }
}
