package dev.jacquard.kernels.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.NeuronLimits;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronRule.Above;
import dev.jacquard.kernels.NeuronRule.Listed;
import dev.jacquard.kernels.NeuronRule.Magnitude;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op.Activation;
import dev.jacquard.kernels.reference.ReferenceBackend;
import dev.jacquard.kernels.testing.NeuronScene.Row;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.format.F32;
import dev.jacquard.tensor.format.Q4_0;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every backend must do with the rules of feed-forward layers: {@link NeuronRule}. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class NeuronContract {
  private static final int ROWS = 5;

  private final List<Backend> opened = new ArrayList<>();
  private final Backend reference = new ReferenceBackend(new BackendOptions(2));

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
    reference.close();
  }

  static Stream<NeuronScene> scenes() {
    List<NeuronScene> scenes = new ArrayList<>();
    for (ElementFormat format : ElementFormats.all()) {
      for (Activation activation : Activation.values()) {
        boolean silu = activation == Activation.SILU;
        scenes.add(new NeuronScene(format, activation, silu, !silu));
      }
    }
    return scenes.stream();
  }

  /** Every second neuron or so, with longer gaps between. */
  private static NeuronSet someOf(NeuronScene scene, int seed) {
    Random random = new Random(seed);
    int[] chosen =
        IntStream.range(0, scene.neurons())
            .filter(i -> i / 40 % 3 == 1 || random.nextInt(3) == 0)
            .toArray();
    return new NeuronSet(List.of(chosen));
  }

  private static NeuronSet allOf(NeuronScene scene) {
    return new NeuronSet(List.of(IntStream.range(0, scene.neurons()).toArray()));
  }

  private static NeuronLimits everywhere(NeuronScene scene, float limit) {
    float[] limits = new float[scene.neurons()];
    Arrays.fill(limits, limit);
    return new NeuronLimits(List.of(limits));
  }

  /** Limits in the widest gap of each neuron's magnitudes, so that no rounding decides. */
  private NeuronLimits inGaps(NeuronScene scene, Magnitude magnitude) {
    List<float[]> hidden = new ArrayList<>();
    for (Row row : run(scene, reference, NeuronRule.ALL)) {
      hidden.add(magnitude == Magnitude.HIDDEN ? row.hidden() : scene.gate(row.token()));
    }
    float[] limits = new float[scene.neurons()];
    for (int i = 0; i < limits.length; i++) {
      int neuron = i;
      double[] sorted = hidden.stream().mapToDouble(h -> Math.abs(h[neuron])).sorted().toArray();
      int widest = 1;
      for (int k = 2; k < sorted.length; k++) {
        if (sorted[k] - sorted[k - 1] > sorted[widest] - sorted[widest - 1]) {
          widest = k;
        }
      }
      limits[i] = (float) ((sorted[widest] + sorted[widest - 1]) / 2);
    }
    return new NeuronLimits(List.of(limits));
  }

  private static List<Row> run(NeuronScene scene, Backend backend, NeuronRule rule) {
    return scene.run(backend, List.of(rule), ROWS);
  }

  private static void requireSameBits(List<Row> expected, List<Row> found, String what) {
    assertEquals(expected.size(), found.size(), what);
    for (int r = 0; r < expected.size(); r++) {
      assertArrayEquals(expected.get(r).out(), found.get(r).out(), what + ", row " + r);
      assertArrayEquals(expected.get(r).hidden(), found.get(r).hidden(), what + ", row " + r);
      assertEquals(expected.get(r).computed(), found.get(r).computed(), what + ", row " + r);
    }
  }

  private void requireClose(NeuronScene scene, NeuronRule rule) {
    List<Row> truth = run(scene, reference, rule);
    List<Row> found = run(scene, opened.getFirst(), rule);
    Results expected = new Results();
    Results own = new Results();
    for (int r = 0; r < truth.size(); r++) {
      Row row = found.get(r);
      expected.put(scene.out(), 0, r, truth.get(r).out());
      own.put(scene.out(), 0, r, row.out());
      assertEquals(truth.get(r).computed(), row.computed(), scene + ", " + rule + ", row " + r);
      assertEquals(scene.neurons(), row.all());
      assertTrue(row.computed() > 0 && row.computed() < row.all(), "some are left out: " + row);
      assertTrue(row.bytes() > 0 && row.bytesDense() > 0, row.toString());
      assertEquals(zeros(truth.get(r).hidden()), zeros(row.hidden()), "zeros of hidden, row " + r);
    }
    own.requireClose(expected, ErrorBounds.of(scene.op()), scene + ", " + rule);
  }

  private static List<Integer> zeros(float[] values) {
    return IntStream.range(0, values.length).filter(i -> values[i] == 0).boxed().toList();
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void listedNeuronsAreCloseToTheTruth(NeuronScene scene) {
    requireClose(scene, new Listed(someOf(scene, 1)));
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void neuronsAboveLimitsAreCloseToTheTruth(NeuronScene scene) {
    for (Magnitude magnitude : Magnitude.values()) {
      requireClose(scene, new Above(magnitude, inGaps(scene, magnitude)));
    }
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void aRuleThatLeavesNothingOutHasTheBitsOfAll(NeuronScene scene) {
    Backend backend = opened.getLast();
    List<Row> all = run(scene, backend, NeuronRule.ALL);
    List<NeuronRule> rules =
        List.of(
            new Listed(allOf(scene)),
            new Above(Magnitude.HIDDEN, everywhere(scene, 0)),
            new Above(Magnitude.GATE, everywhere(scene, 0)),
            // Above 0, a limit has the weights read by neuron, and still leaves only zeros out.
            new Above(Magnitude.HIDDEN, everywhere(scene, Float.MIN_VALUE)));
    for (NeuronRule rule : rules) {
      List<Row> rows = run(scene, backend, rule);
      for (int r = 0; r < ROWS; r++) {
        assertArrayEquals(all.get(r).out(), rows.get(r).out(), scene + ", " + rule);
        assertArrayEquals(all.get(r).hidden(), rows.get(r).hidden(), scene + ", " + rule);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void whatIsLeftIsSummedInOneOrder(NeuronScene scene) {
    NeuronSet set = someOf(scene, 2);
    float[] limits = new float[scene.neurons()];
    Arrays.fill(limits, Float.POSITIVE_INFINITY);
    for (int i = 0; i < set.count(0); i++) {
      limits[set.neuron(0, i)] = 0;
    }
    Above same = new Above(Magnitude.HIDDEN, new NeuronLimits(List.of(limits)));
    Backend backend = opened.getFirst();
    requireSameBits(
        run(scene, backend, new Listed(set)), run(scene, backend, same), scene.toString());
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void infiniteLimitsLeaveTheBias(NeuronScene scene) {
    for (Magnitude magnitude : Magnitude.values()) {
      Above nobody = new Above(magnitude, everywhere(scene, Float.POSITIVE_INFINITY));
      for (Row row : run(scene, opened.getLast(), nobody)) {
        assertEquals(0, row.computed());
        assertArrayEquals(scene.downBias(), row.out(), scene + ", " + magnitude);
        assertArrayEquals(new float[scene.neurons()], row.hidden());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("scenes")
  final void bitsDependOnTheRowOnly(NeuronScene scene) {
    List<NeuronRule> rules =
        List.of(
            new Above(Magnitude.GATE, inGaps(scene, Magnitude.GATE)),
            NeuronRule.ALL,
            new Listed(someOf(scene, 3)),
            new Above(Magnitude.HIDDEN, inGaps(scene, Magnitude.HIDDEN)),
            new Listed(someOf(scene, 4)));
    List<Row> alone = new ArrayList<>();
    for (int s = 0; s < rules.size(); s++) {
      for (int r = 0; r < 2; r++) {
        alone.addAll(scene.run(opened.getFirst(), List.of(rules.get(s)), s * 2 + r, 1));
      }
    }
    for (Backend backend : opened) {
      requireSameBits(alone, scene.run(backend, rules, 2), scene + " together");
    }
  }

  @Test
  final void manySetsTakeTurns() {
    NeuronScene scene = new NeuronScene(Q4_0.INSTANCE, Activation.SILU, false, false);
    List<NeuronRule> rules = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      rules.add(new Listed(someOf(scene, 10 + i)));
    }
    try (NeuronScene.Running running = scene.open(opened.getFirst(), ROWS)) {
      List<List<Row>> first = new ArrayList<>();
      for (NeuronRule rule : rules) {
        first.add(running.run(List.of(rule), 0, ROWS));
      }
      long bytes = running.ownBytes();
      for (int i = 0; i < rules.size(); i++) {
        List<Row> again = running.run(List.of(rules.get(i)), 0, ROWS);
        requireSameBits(first.get(i), again, "set " + i);
      }
      for (NeuronRule rule : rules) {
        NeuronSet fresh = new NeuronSet(List.of(((Listed) rule).neurons().neurons(0)));
        running.run(List.of(new Listed(fresh)), 0, ROWS);
      }
      assertTrue(
          running.ownBytes() <= 1.2 * bytes, running.ownBytes() + " after more sets, " + bytes);
    }
  }

  @Test
  final void aValueThatIsNoNumberIsNotLeftOut() {
    NeuronScene scene = new NeuronScene(F32.INSTANCE, Activation.SILU, false, false);
    try (NeuronScene.Running running = scene.open(opened.getFirst(), 1)) {
      for (Magnitude magnitude : Magnitude.values()) {
        Above nobody = new Above(magnitude, everywhere(scene, Float.POSITIVE_INFINITY));
        Row row = running.runNotANumber(nobody);
        assertTrue(Float.isNaN(row.out()[0]), magnitude + ": " + row.out()[0]);
      }
    }
  }

  @Test
  final void aRuleOfAnotherModelIsRefused() {
    NeuronScene scene = new NeuronScene(F32.INSTANCE, Activation.SILU, false, false);
    NeuronSet beyond = new NeuronSet(List.of(new int[] {0, scene.neurons()}));
    NeuronLimits few = new NeuronLimits(List.of(new float[scene.neurons() - 1]));
    NeuronLimits noLayer = new NeuronLimits(List.of());
    for (NeuronRule rule :
        List.of(
            new Listed(beyond),
            new Above(Magnitude.HIDDEN, few),
            new Above(Magnitude.GATE, noLayer))) {
      IllegalArgumentException refusal =
          assertThrows(IllegalArgumentException.class, () -> run(scene, opened.getFirst(), rule));
      assertTrue(
          String.valueOf(refusal.getMessage()).contains("made for another model"),
          refusal.toString());
    }
  }
}
