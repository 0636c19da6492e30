package dev.jacquard.kernels.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Op.Linear;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every backend must make of a {@link HeadRule}: the logits that a rule promises have the bits
 * of DENSE, the others are −∞, and the report says which are which. A backend's test is a subclass
 * that opens it.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class HeadContract {
  /** Rules that promise something. */
  private static final List<HeadRule.Certified> CERTIFIED =
      List.of(
          new HeadRule.Certified(1),
          new HeadRule.Certified(2),
          new HeadRule.Certified(40),
          new HeadRule.Certified(1, 0),
          new HeadRule.Certified(40, 0.5f),
          new HeadRule.Certified(400_000));

  private static final List<HeadRule> ALL =
      Stream.concat(
              CERTIFIED.stream().map(HeadRule.class::cast),
              Stream.of(
                  HeadRule.DENSE,
                  new HeadRule.Estimated(1, 6),
                  new HeadRule.Estimated(40, 6),
                  new HeadRule.Estimated(3, 0.01f)))
          .toList();

  private final List<Backend> opened = new ArrayList<>();

  /** Opens the backend under test. */
  protected abstract Backend open(BackendOptions options);

  @BeforeAll
  final void openAll() {
    for (int threads = 1; threads <= 3; threads++) {
      opened.add(open(new BackendOptions(threads)));
    }
  }

  @AfterAll
  final void closeAll() {
    opened.forEach(Backend::close);
  }

  /** Matrix, bias and hidden states: what a head computes. */
  @SuppressWarnings("ArrayRecordComponent") // shared on purpose; never compared
  private record Scene(String name, Tensor matrix, float @Nullable [] bias, float[] states) {
    int width() {
      return matrix.columns();
    }

    int vocabulary() {
      return matrix.rows();
    }

    int count() {
      return states.length / width();
    }

    Program program() {
      Slot all = new Slot("state", width(), Slot.Domain.ALL);
      Slot in = new Slot("state", width(), Slot.Domain.OUTPUT);
      Slot logits = new Slot("logits", vocabulary(), Slot.Domain.OUTPUT);
      Weight table =
          new Weight("states", OpCases.tensor(F32.INSTANCE, Shape.of(width(), count()), states));
      Weight added =
          bias == null
              ? null
              : new Weight("bias", OpCases.tensor(F32.INSTANCE, Shape.of(vocabulary()), bias));
      return new Program(
          List.of(
              new Op.Embed(table, 1, all),
              new Op.SelectRows(all, in),
              new Op.Head(in, new Linear(new Weight("head", matrix), added), logits)),
          new KvSpec(List.of()),
          logits);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Scene> scenes() {
    List<Scene> scenes = new ArrayList<>();
    for (String format : List.of("Q8_0", "Q4_0", "F16")) {
      scenes.add(random(format, 1, 64, false, 1));
      scenes.add(random(format, 45, 32, true, 2));
      scenes.add(random(format, 1000, 96, false, 3));
    }
    scenes.add(random("Q8_0", 4133, 640, true, 4));
    scenes.add(random("Q8_0", 1029, 1120, false, 5));
    scenes.add(stored("all rows alike", 999, 64, 6, (row, random) -> 100));
    scenes.add(stored("rows come twice", 1000, 64, 7, (row, random) -> row / 2));
    scenes.add(stored("all residuals worst", 700, 160, 8, (row, random) -> -1 - row));
    return scenes.stream();
  }

  private static Scene random(String format, int vocabulary, int width, boolean biased, long seed) {
    Random random = new Random(seed);
    float[] values = new float[vocabulary * width];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() * 0.05f;
    }
    Tensor matrix =
        OpCases.tensor(
            ElementFormats.byName(format).orElseThrow(), Shape.of(width, vocabulary), values);
    float[] bias = new float[vocabulary];
    for (int i = 0; i < vocabulary; i++) {
      bias[i] = (float) random.nextGaussian();
    }
    return new Scene(
        format + " " + vocabulary + " x " + width,
        matrix,
        biased ? bias : null,
        states(matrix, random));
  }

  /** Says which pattern a row of codes is made by. */
  private interface Pattern {
    int of(int row, Random random);
  }

  /**
   * Q8_0 with codes by pattern: rows of the same number are equal; below 0 low bits are 0 or 15.
   */
  private static Scene stored(String name, int vocabulary, int width, long seed, Pattern pattern) {
    Random random = new Random(seed);
    float[] values = new float[vocabulary * width];
    for (int row = 0; row < vocabulary; row++) {
      int number = pattern.of(row, random);
      Random own = new Random(number);
      for (int k = 0; k < width; k++) {
        int code = own.nextInt(255) - 127;
        if (number < 0) {
          code = own.nextBoolean() ? code & ~15 : code | 15;
        }
        values[row * width + k] = k % 32 == 0 ? 127 : Math.clamp(code, -127, 127);
      }
    }
    Tensor matrix =
        OpCases.tensor(
            ElementFormats.byName("Q8_0").orElseThrow(), Shape.of(width, vocabulary), values);
    return new Scene(name, matrix, null, states(matrix, random));
  }

  /**
   * Ordinary states, some with few large numbers, rows of the matrix, and what no bound holds for.
   */
  private static float[] states(Tensor matrix, Random random) {
    int width = matrix.columns();
    int kinds = 12;
    float[] states = new float[kinds * width];
    float[] row = new float[width];
    for (int kind = 0; kind < kinds; kind++) {
      matrix.decodeRow(random.nextInt(matrix.rows()), row, 0);
      for (int k = 0; k < width; k++) {
        float normal = (float) random.nextGaussian();
        states[kind * width + k] =
            switch (kind) {
              case 0, 1, 2 -> normal;
              case 3 -> normal * (k % 17 == 3 ? 40 : 1);
              case 4, 5 -> row[k] * 20 + normal * 0.1f;
              case 6 -> 0;
              case 7 -> normal * 1e-36f;
              case 8 -> normal * 1e20f;
              case 9 -> k == 5 ? Float.NaN : normal;
              case 10 -> k == 5 ? Float.POSITIVE_INFINITY : normal;
              default -> k == width / 2 ? 3 : 0;
            };
      }
    }
    return states;
  }

  /** One step; what it gave is read by {@code reader}. */
  private interface Reader {
    void read(int output, float[] logits, HeadReport.Row report);
  }

  /** An executable with what it needs for a step. */
  private static final class Run implements AutoCloseable {
    private final Scene scene;
    private final Program program;
    private final Executable executable;
    private final KvStorage kv;
    private final StepInputs inputs;

    Run(Scene scene, Backend backend) {
      this.scene = scene;
      program = scene.program();
      executable = backend.compile(program, CompileOptions.of(scene.count(), scene.count()));
      kv = backend.allocateKv(program.kv(), KvFormat.F32);
      inputs = new StepInputs(scene.count(), 0);
    }

    /** Computes states, each by a rule of its own. */
    void step(int[] states, List<HeadRule> rules, Reader reader) {
      inputs.clear();
      for (int i = 0; i < states.length; i++) {
        int sequence = inputs.addSequence();
        inputs.setHead(sequence, rules.get(i));
        inputs.addRow(sequence, 0, states[i], true);
      }
      executable.run(inputs, kv, null);
      for (int i = 0; i < states.length; i++) {
        float[] logits = new float[scene.vocabulary()];
        executable.read(program.logits(), i, logits, 0);
        reader.read(i, logits, executable.head().row(i));
      }
    }

    float[] dense(int state) {
      float[][] dense = new float[1][];
      step(new int[] {state}, List.of(HeadRule.DENSE), (_, logits, _) -> dense[0] = logits);
      return dense[0];
    }

    @Override
    public void close() {
      kv.close();
      executable.close();
    }
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void aRuleGivesWhatItPromises(Scene scene) {
    try (Run run = new Run(scene, opened.get(0))) {
      for (int state = 0; state < scene.count(); state++) {
        float[] dense = run.dense(state);
        for (HeadRule rule : ALL) {
          String what = scene + ", state " + state + ", " + rule;
          run.step(
              new int[] {state},
              List.of(rule),
              (_, logits, report) -> require(rule, dense, logits, report, what));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void candidatesDependOnTheStateOnly(Scene scene) {
    try (Run one = new Run(scene, opened.get(0));
        Run three = new Run(scene, opened.get(2))) {
      for (int state = 0; state < scene.count(); state++) {
        for (HeadRule rule : ALL) {
          float[][] seen = new float[1][];
          one.step(new int[] {state}, List.of(rule), (_, logits, _) -> seen[0] = logits);
          three.step(
              new int[] {state},
              List.of(rule),
              (_, logits, _) -> assertArrayEquals(seen[0], logits, scene + ", " + rule));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void whatIsLeftOutCanBeComputedLater(Scene scene) {
    try (Run run = new Run(scene, opened.get(1))) {
      for (int state = 0; state < scene.count(); state++) {
        float[] dense = run.dense(state);
        for (HeadRule rule : ALL) {
          run.step(new int[] {state}, List.of(rule), (_, _, _) -> {});
          long before = run.executable.head().row(0).bytes();
          boolean all = run.executable.head().row(0).dense();
          run.executable.completeHead();
          float[] logits = new float[scene.vocabulary()];
          run.executable.read(run.program.logits(), 0, logits, 0);
          assertArrayEquals(dense, logits, scene + ", " + rule);
          HeadReport.Row report = run.executable.head().row(0);
          assertTrue(report.dense());
          assertEquals(before + (all ? 0 : report.bytesDense()), report.bytes());
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void rowsOfAStepMayHaveDifferentRules(Scene scene) {
    int[] states = new int[scene.count()];
    List<HeadRule> rules = new ArrayList<>();
    for (int i = 0; i < states.length; i++) {
      states[i] = states.length - 1 - i;
      rules.add(ALL.get(i % ALL.size()));
    }
    try (Run run = new Run(scene, opened.get(1))) {
      float[][] dense = new float[states.length][];
      for (int i = 0; i < states.length; i++) {
        dense[i] = run.dense(states[i]);
      }
      run.step(
          states,
          rules,
          (i, logits, report) ->
              require(rules.get(i), dense[i], logits, report, scene + ", " + rules.get(i)));
    }
  }

  private static void require(
      HeadRule rule, float[] dense, float[] logits, HeadReport.Row report, String what) {
    requireReport(dense, logits, report, what);
    switch (rule) {
      case HeadRule.Dense _ -> assertTrue(report.dense(), what);
      case HeadRule.Certified(int best, float within) ->
          requireBest(best, within, dense, logits, what);
      case HeadRule.Estimated(int best, float _) ->
          assertTrue(report.count() >= Math.min(best, dense.length), what);
    }
  }

  /** What is computed has the bits of DENSE, and the report has the same. */
  private static void requireReport(
      float[] dense, float[] logits, HeadReport.Row report, String what) {
    assertTrue(report.bytes() > 0 && report.bytesDense() > 0, what);
    if (report.dense()) {
      assertArrayEquals(dense, logits, what);
      assertEquals(dense.length, report.count(), what);
      return;
    }
    float[] expected = new float[dense.length];
    Arrays.fill(expected, Float.NEGATIVE_INFINITY);
    int last = -1;
    for (int i = 0; i < report.count(); i++) {
      int id = report.candidate(i);
      assertTrue(id > last, what + ": candidates ascend");
      last = id;
      expected[id] = dense[id];
      assertEquals(dense[id], report.logit(i), what);
    }
    assertArrayEquals(expected, logits, what);
  }

  /** Independent of any backend: sorts all logits, of equal ones the lower id first. */
  private static void requireBest(
      int best, float within, float[] dense, float[] logits, String what) {
    List<Integer> order = new ArrayList<>();
    for (int id = 0; id < dense.length; id++) {
      order.add(id);
    }
    order.sort((a, b) -> Float.compare(dense[b], dense[a]));
    double largest = dense[order.getFirst()];
    for (int id : order.subList(0, Math.min(best, order.size()))) {
      if (dense[id] >= largest - within) {
        assertEquals(dense[id], logits[id], what + ": token " + id);
      }
    }
  }
}
