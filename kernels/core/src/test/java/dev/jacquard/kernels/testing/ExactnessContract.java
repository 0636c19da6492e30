package dev.jacquard.kernels.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.AttentionReport;
import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.reference.ReferenceBackend;
import dev.jacquard.kernels.testing.SceneTruth.Seen;
import dev.jacquard.tensor.format.F32;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What a backend that answers the classes of exactness must do, beside {@link BackendContract}:
 *
 * <ul>
 *   <li>given what the reference chose, its output is the reference's, within {@link #outputError};
 *   <li>what it chooses itself is what docs/attention.md says ({@link SelectionCheck});
 *   <li>its output is as close to dense attention as its certificate claims.
 * </ul>
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class ExactnessContract {
  private static final List<Exactness> CLASSES =
      List.of(
          Exactness.DENSE,
          new Exactness.Certified(0.3),
          new Exactness.Certified(0.05),
          new Exactness.Certified(0.002),
          new Exactness.Budgeted(0.5, 0.9),
          new Exactness.Budgeted(0.9, 1),
          new Exactness.Verified(0.9, 0.2, 0.6, 5),
          new Exactness.Verified(0.02, 0.05, 0.8, 6));

  private final List<Backend> opened = new ArrayList<>();
  private final Backend reference = new ReferenceBackend(new BackendOptions(2));

  /** Opens the backend under test. */
  protected abstract Backend open(BackendOptions options);

  /** How far an output may be from the reference's, relative to the longest value. */
  protected double outputError() {
    return ErrorBounds.FLOAT_SUM;
  }

  /** How precise scores are, those by sketches too, relative to 1 + their magnitude. */
  protected double scoreError() {
    return ErrorBounds.FLOAT_SUM;
  }

  /** How much more than the costs of its tokens a certificate claims for rounding. */
  protected double certificateRounding() {
    return 1e-3;
  }

  /** Cases, each a query head and a step, of the property that certificates hold. */
  protected int certificateCases() {
    return Integer.getInteger("jacquard.certificate.cases", 100_000);
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
    reference.close();
  }

  private Backend backend(int threads) {
    return opened.get(threads - 1);
  }

  private SelectionCheck check() {
    return new SelectionCheck(scoreError(), certificateRounding());
  }

  static Stream<AttentionScene> rows() {
    return Scenes.rows().stream().flatMap(scene -> CLASSES.stream().map(scene::with));
  }

  static Stream<AttentionScene> prompts() {
    return Scenes.prompts().stream()
        .flatMap(scene -> Stream.of(0.5, 0.9).map(c -> scene.with(new Exactness.Budgeted(0.5, c))));
  }

  @ParameterizedTest
  @MethodSource("rows")
  final void aChoiceIsWhatTheSpecificationSays(AttentionScene scene) {
    try (SceneRun run = new SceneRun(scene, backend(2))) {
      // An audit that fails clears the bounds, but leaves the choice.
      check().rows(scene, run.run());
    }
  }

  @ParameterizedTest
  @MethodSource("prompts")
  final void aBlockReadsThePagesThatTheSpecificationSays(AttentionScene scene) {
    try (SceneRun run = new SceneRun(scene, backend(2))) {
      Exactness.Budgeted wanted = (Exactness.Budgeted) scene.exactness().getFirst();
      check().prompt(scene, run.run(), wanted.prefillCoverage());
    }
  }

  @ParameterizedTest
  @MethodSource({"rows", "prompts"})
  final void withTheSameChoiceTheOutputIsThatOfTheReference(AttentionScene scene) {
    try (SceneRun truth = new SceneRun(scene, reference);
        SceneRun run = new SceneRun(scene, backend(2))) {
      run.runAs(truth.run());
      for (int s = 0; s < scene.sequences(); s++) {
        for (int row = 0; row < scene.rows(); row++) {
          requireSame(scene, truth, run, s, row);
        }
      }
    }
  }

  private void requireSame(
      AttentionScene scene, SceneRun truth, SceneRun run, int sequence, int row) {
    String what = scene + ", sequence " + sequence + ", row " + row;
    AttentionReport.Row expected = truth.report(sequence, row);
    AttentionReport.Row found = run.report(sequence, row);
    assertEquals(expected.escalated(), found.escalated(), what);
    assertEquals(expected.bytesRead(), found.bytesRead(), what);
    assertEquals(expected.bytesDense(), found.bytesDense(), what);
    assertEquals(expected.fine(), found.fine(), what);
    assertEquals(expected.coarse(), found.coarse(), what);
    assertEquals(expected.far(), found.far(), what);
    assertEquals(expected.cases(), found.cases(), what);
    assertEquals(expected.boundWorst(), found.boundWorst(), 1e-3 * expected.boundWorst(), what);
    for (int head = 0; head < scene.heads(); head++) {
      double longest = longest(scene, sequence);
      double error =
          NaiveQuantization.distance(
              truth.output(sequence, row, head), run.output(sequence, row, head));
      assertTrue(
          error <= outputError() * longest,
          what + ", head " + head + ": error " + error + ", values of " + longest);
    }
  }

  /** Against an oracle of its own, so that the reference is held to it too. */
  @ParameterizedTest
  @MethodSource({"rows", "prompts"})
  final void theOutputIsWhatTheChoiceMeans(AttentionScene scene) {
    try (SceneRun run = new SceneRun(scene, backend(2)).run()) {
      for (int head = 0; head < scene.heads(); head++) {
        List<SceneTruth> truths = SceneTruth.of(scene, head / scene.sharing());
        for (int s = 0; s < scene.sequences(); s++) {
          // Of a prompt, some rows of each block, dense ones among them.
          for (int row = 0; row < scene.rows(); row += 13) {
            requireOutput(scene, run, truths.get(s), s, row, head);
          }
        }
      }
    }
  }

  private void requireOutput(
      AttentionScene scene, SceneRun run, SceneTruth truth, int s, int row, int head) {
    String what = scene + ", sequence " + s + ", row " + row + ", head " + head;
    PageSelection.Slice slice = run.slice(s, row, head);
    double[] query = truth.query(s, row, head);
    int position = scene.position(row);
    double[] expected = truth.dense(query, position);
    double precision = 20 * (outputError() + scoreError());
    if (slice != null) {
      int inSlice = head - slice.firstHead();
      SliceTruth read = new SliceTruth(truth, slice, inSlice, query, position);
      if (scene.exactness().get(s) instanceof Exactness.Verified wanted && slice.samples() > 0) {
        double bound = read.audit(wanted);
        double found = slice.bound()[inSlice];
        boolean escalated = found == 0;
        assertTrue(
            escalated || Math.abs(found - bound) <= 0.01 * bound + certificateRounding(),
            what + ": bound " + found + ", should be " + bound);
        precision *= 10; // samples are weighed by the exponential of a difference of scores
        expected = escalated ? expected : read.output();
      } else {
        expected = read.output();
      }
    }
    double error = NaiveQuantization.distance(expected, run.output(s, row, head));
    assertTrue(error <= precision * longest(scene, s), what + ": error " + error);
  }

  private static double longest(AttentionScene scene, int sequence) {
    return scene.tokens(sequence).stream()
        .mapToDouble(
            t ->
                Math.sqrt(
                    IntStream.range(0, t.value().length)
                        .mapToDouble(i -> (double) t.value()[i] * t.value()[i])
                        .sum()))
        .max()
        .orElseThrow();
  }

  @ParameterizedTest
  @MethodSource({"rows", "prompts"})
  final void theBitsDoNotDependOnThreadsOrOtherSequences(AttentionScene scene) {
    try (SceneRun one = new SceneRun(scene, backend(1)).run();
        SceneRun three = new SceneRun(scene, backend(3)).run()) {
      for (int s = 0; s < scene.sequences(); s++) {
        for (int row = 0; row < scene.rows(); row++) {
          assertArrayEquals(one.output(s, row), three.output(s, row), scene.name());
          assertEquals(
              one.report(s, row).boundSum(), three.report(s, row).boundSum(), scene.name());
        }
      }
    }
  }

  @Test
  final void sequencesOfAStepHaveTheirOwnClasses() {
    AttentionScene scene = Scenes.rows().getFirst();
    List<Exactness> mixed =
        List.of(new Exactness.Certified(0.1), Exactness.DENSE, new Exactness.Budgeted(0.5, 0.5));
    try (SceneRun run = new SceneRun(scene.with(mixed), backend(2)).run()) {
      for (int s = 0; s < mixed.size(); s++) {
        try (SceneRun alone = new SceneRun(scene.with(mixed.get(s)), backend(1)).run()) {
          assertArrayEquals(alone.output(s, 0), run.output(s, 0), "sequence " + s);
          assertEquals(alone.report(s, 0).bytesRead(), run.report(s, 0).bytesRead());
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("rows")
  final void theReportCountsWhatTheChoiceSays(AttentionScene scene) {
    try (SceneRun run = new SceneRun(scene, backend(2)).run()) {
      for (int s = 0; s < scene.sequences(); s++) {
        requireReport(scene, run, s);
      }
    }
  }

  private static void requireReport(AttentionScene scene, SceneRun run, int s) {
    int keySize = scene.layer().keySize();
    int valueSize = scene.layer().valueSize();
    long whole = (long) QuantizedKv.keyBytes(keySize) + QuantizedKv.valueBytes(valueSize);
    long tokens = scene.tokens(s).size();
    long bytes = 0;
    long cases = 0;
    for (int kvHead = 0; kvHead < scene.layer().heads(); kvHead++) {
      PageSelection.Slice slice = run.slice(s, 0, kvHead * scene.sharing());
      if (slice == null) {
        bytes += tokens * whole;
        continue;
      }
      long fine = 0;
      long coarse = 0;
      long means = 0;
      for (int e = 0; e < slice.entries(); e++) {
        fine += Integer.bitCount(slice.fine()[e]);
        coarse += Integer.bitCount(slice.coarse()[e]);
        means += slice.hasFar() && slice.far()[e] > 0 ? 1 : 0;
      }
      long closed = slice.entries() - 1L;
      long meanBytes = means * QuantizedKv.meanBytes(valueSize);
      switch (scene.exactness().get(s)) {
        case Exactness.Dense _ -> throw new AssertionError("a slice of a dense row");
        case Exactness.Certified _ ->
            bytes +=
                tokens * QuantizedKv.keyBytes(keySize)
                    + fine * (QuantizedKv.valueBytes(valueSize) + 2)
                    + coarse * QuantizedKv.coarseValueBytes(valueSize)
                    + meanBytes
                    + (closed - means) * 6;
        case Exactness.Budgeted _ ->
            bytes +=
                tokens * QuantizedKv.sketchBytes(keySize)
                    + meanBytes
                    + (closed - means) * 2
                    + fine * whole;
        case Exactness.Verified _ -> {
          long samples =
              Arrays.stream(slice.sampleToken(), 0, slice.heads() * slice.samples())
                  .distinct()
                  .count();
          boolean escalated = run.report(s, 0).escalated() > 0;
          // Scenes with several key/value heads may escalate one of them only: then no byte count.
          if (escalated && scene.layer().heads() > 1) {
            return;
          }
          bytes +=
              tokens * QuantizedKv.sketchBytes(keySize)
                  + meanBytes
                  + (escalated ? tokens : fine + samples) * whole;
        }
      }
      cases += scene.exactness().get(s) instanceof Exactness.Budgeted ? 0 : slice.heads();
    }
    AttentionReport.Row row = run.report(s, 0);
    assertEquals(bytes, row.bytesRead(), scene.name());
    assertEquals(tokens * whole * scene.layer().heads(), row.bytesDense(), scene.name());
    assertEquals(cases, row.cases(), scene.name());
  }

  @Test
  final void withoutSketchesAndForPromptsTheStatedClassesReadEverything() {
    AttentionScene row = Scenes.rows().get(1).withoutSketches();
    AttentionScene prompt = Scenes.prompts().getFirst();
    for (AttentionScene scene :
        List.of(
            row.with(new Exactness.Budgeted(0.5, 0.5)),
            row.with(new Exactness.Verified(0.1, 0.1, 0.5, 3)),
            prompt.withoutSketches().with(new Exactness.Budgeted(0.5, 0.5)),
            prompt.with(new Exactness.Budgeted(0.5, 1)),
            prompt.with(new Exactness.Certified(0.5)),
            prompt.with(new Exactness.Verified(0.1, 0.1, 0.5, 3)))) {
      try (SceneRun run = new SceneRun(scene, backend(2)).run();
          SceneRun dense = new SceneRun(scene.with(Exactness.DENSE), backend(2)).run()) {
        assertEquals(0, run.selection().size(), scene.name());
        assertArrayEquals(dense.output(0, 0), run.output(0, 0), scene.name());
        AttentionReport.Row report = run.report(0, scene.rows() - 1);
        assertEquals(report.bytesDense(), report.bytesRead(), scene.name());
        assertEquals(0, report.cases(), scene.name());
      }
    }
  }

  @Test
  final void otherFormatsAreRefusedWithAWayOut() {
    OpCase test = OpCases.decoder(F32.INSTANCE);
    try (Executable executable = backend(1).compile(test.program(), CompileOptions.of(1, 1));
        KvStorage kv = backend(1).allocateKv(test.program().kv(), KvFormat.F16)) {
      StepInputs inputs = new StepInputs(1, 2);
      inputs.setExactness(inputs.addSequence(), new Exactness.Certified(0.1));
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> executable.run(inputs, kv, null));
      String message = String.valueOf(refused.getMessage());
      assertTrue(
          message.contains("Q8") && message.contains("F16") && message.contains("DENSE"), message);
    }
  }

  /**
   * Scenes of two key/value heads: one without a cap; one with, and no 0 in a channel of the keys,
   * which would make NaN of an infinite query; one whose weights almost all vanish.
   */
  static Stream<AttentionScene> classes() {
    AttentionScene capped = Scenes.rows().get(2);
    for (int s = 0; s < capped.sequences(); s++) {
      capped.tokens(s).forEach(token -> token.key()[capped.layer().keySize() + 1] = 1);
    }
    AttentionScene sharp = Scenes.rows().get(1);
    for (List<float[]> ofSequence : sharp.queries()) {
      float[] query = ofSequence.getFirst();
      for (int i = 0; i < query.length; i++) {
        query[i] *= 100;
      }
    }
    return Stream.of(Scenes.rows().get(1), capped, sharp)
        .flatMap(scene -> CLASSES.stream().map(scene::with));
  }

  @ParameterizedTest
  @MethodSource("classes")
  final void numbersThatAreNotFiniteAreNeverHidden(AttentionScene scene) {
    int keySize = scene.layer().keySize();
    int valueSize = scene.layer().valueSize();
    int head = scene.sharing();
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      AttentionScene.Pair token = scene.sharedTokens().get(45); // in a page without a pin
      requirePoison(scene, token.key(), keySize + 2, bad, (s, h) -> h / scene.sharing() == 1);
      requirePoison(scene, token.value(), valueSize + 4, bad, (s, h) -> h / scene.sharing() == 1);
      float[] query = scene.queries().get(1).getFirst();
      requirePoison(scene, query, head * keySize + 1, bad, (s, h) -> s == 1 && h == head);
    }
  }

  /** With a bad number at one place, just the outputs that depend on it are not numbers. */
  private void requirePoison(
      AttentionScene scene, float[] numbers, int at, float bad, BiPredicate<Integer, Integer> hit) {
    float good = numbers[at];
    numbers[at] = bad;
    try (SceneRun run = new SceneRun(scene, backend(2)).run()) {
      for (int s = 0; s < scene.sequences(); s++) {
        for (int h = 0; h < scene.heads(); h++) {
          assertEquals(
              hit.test(s, h),
              Arrays.stream(run.output(s, 0, h)).anyMatch(Double::isNaN),
              scene + ": " + bad + " at " + at + ", sequence " + s + ", head " + h);
        }
      }
    } finally {
      numbers[at] = good;
    }
  }

  @Test
  final void aPageThatIsNotFiniteIsNotLeftOutOfAPrompt() {
    AttentionScene scene = Scenes.prompts().getFirst().with(new Exactness.Budgeted(0.5, 0.5));
    scene.sharedTokens().get(200).key()[1] = Float.NaN;
    try (SceneRun run = new SceneRun(scene, backend(2)).run()) {
      for (int row = 0; row < scene.rows(); row++) {
        assertTrue(Double.isNaN(run.output(0, row, 0)[0]), "row " + row);
        assertTrue(Double.isFinite(run.output(0, row, 5)[0]), "row " + row);
      }
    }
  }

  @Test
  final void certificatesHold() {
    AtomicLong cases = new AtomicLong();
    AtomicLong seeds = new AtomicLong();
    IntStream.range(0, 2)
        .parallel()
        .forEach(
            worker -> {
              try (Backend own = open(new BackendOptions(1))) {
                while (cases.get() < certificateCases()) {
                  cases.addAndGet(requireCertificates(seeds.getAndIncrement(), own));
                }
              }
            });
    assertTrue(cases.get() >= certificateCases());
  }

  private int requireCertificates(long seed, Backend backend) {
    Random random = new Random(seed);
    double[] shares = {0.5, 0.2, 0.05, 0.01, 0.002};
    AttentionScene plain = Scenes.hard(seed, 64);
    List<Exactness> wanted = new ArrayList<>();
    for (int s = 0; s < plain.sequences(); s++) {
      wanted.add(new Exactness.Certified(shares[random.nextInt(shares.length)]));
    }
    AttentionScene scene = plain.with(wanted);
    try (SceneRun run = new SceneRun(scene, backend).run()) {
      for (int kvHead = 0; kvHead < scene.layer().heads(); kvHead++) {
        List<SceneTruth> truths = SceneTruth.of(scene, kvHead);
        for (int s = 0; s < scene.sequences(); s++) {
          for (int h = 0; h < scene.sharing(); h++) {
            requireCertificate(scene, run, truths.get(s), s, kvHead * scene.sharing() + h);
          }
        }
      }
    }
    return scene.sequences() * scene.heads();
  }

  private void requireCertificate(
      AttentionScene scene, SceneRun run, SceneTruth truth, int s, int head) {
    PageSelection.Slice slice = run.slice(s, 0, head);
    if (slice == null) {
      throw new AssertionError(scene + ": no choice for sequence " + s);
    }
    double bound = slice.bound()[head - slice.firstHead()];
    double epsilon = ((Exactness.Certified) scene.exactness().get(s)).epsilon();
    double[] dense = truth.dense(truth.query(s, 0, head), scene.position(0));
    double error = NaiveQuantization.distance(dense, run.output(s, 0, head));
    double allowed =
        bound > 0 ? bound * truth.diameter() : wholeError(truth, truth.query(s, 0, head), dense);
    assertTrue(
        bound <= epsilon * (1 + 1e-6) && error <= allowed,
        () ->
            "%s, sequence %d, head %d: error %s, allowed %s, bound %s, epsilon %s"
                .formatted(scene, s, head, error, allowed, bound, epsilon));
  }

  /**
   * How far DENSE itself may be from the truth: by {@link #scoreError} of the scores, which moves
   * weight by the diameter, and by the rounding of the output.
   */
  private double wholeError(SceneTruth truth, double[] query, double[] dense) {
    double largest = 0;
    for (Seen seen : truth.tokens()) {
      largest = Math.max(largest, Math.abs(truth.score(query, seen)));
    }
    double length = NaiveQuantization.distance(dense, new double[dense.length]);
    return 2 * scoreError() * (1 + largest) * truth.diameter() + outputError() * length + 1e-44;
  }

  @Test
  final void auditsFailAsSeldomAsTheyPromise() {
    double delta = 0.1;
    long failed = 0;
    long audited = 0;
    for (int seed = 0; seed < 60; seed++) {
      AttentionScene plain = Scenes.sampled(seed, 64);
      List<Exactness> wanted = new ArrayList<>();
      for (int s = 0; s < plain.sequences(); s++) {
        wanted.add(new Exactness.Verified(0.5, delta, 0.4, 1000L * seed + s));
      }
      AttentionScene scene = plain.with(wanted);
      List<SceneTruth> truths = SceneTruth.of(scene, 0);
      try (SceneRun run = new SceneRun(scene, backend(2)).run()) {
        for (int s = 0; s < scene.sequences(); s++) {
          PageSelection.Slice slice = run.slice(s, 0, 0);
          for (int h = 0; slice != null && h < slice.heads(); h++) {
            double bound = slice.bound()[h];
            if (bound > 0) {
              double[] dense = truths.get(s).dense(truths.get(s).query(s, 0, h), 5000);
              double error = NaiveQuantization.distance(dense, run.output(s, 0, h));
              audited++;
              failed += error > bound * truths.get(s).breadth(5000) ? 1 : 0;
            }
          }
        }
      }
    }
    double deviation = Math.sqrt(delta * (1 - delta) / audited);
    String found = failed + " of " + audited + " audits failed";
    assertTrue(audited > 1000, found);
    assertTrue((double) failed / audited <= delta + 3 * deviation, found);
  }

  @Test
  final void aSliceThatReadsEverythingIsDense() {
    AttentionScene scene = Scenes.rows().get(2);
    AttentionScene strict = scene.with(new Exactness.Verified(1e-6, 0.01, 0.3, 2));
    try (SceneRun run = new SceneRun(strict, backend(2)).run();
        SceneRun dense = new SceneRun(scene, backend(2)).run()) {
      for (int s = 0; s < scene.sequences(); s++) {
        assertEquals(scene.heads(), run.report(s, 0).escalated());
        assertEquals(0, run.report(s, 0).boundWorst());
        assertArrayEquals(dense.output(s, 0), run.output(s, 0));
        assertNull(dense.slice(s, 0, 0));
      }
    }
  }
}
