package dev.jacquard.kernels.testing;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.ErrorAudit;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.testing.AttentionScene.Entry;
import dev.jacquard.kernels.testing.SceneTruth.Seen;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Whether what a backend chose is what docs/attention.md says, within the precision of its scores.
 * It says nothing about the backend's output.
 *
 * @param nats how far a score may be from the truth, relative to 1 + its magnitude
 * @param rounding how much more than its costs a certificate may claim
 */
public record SelectionCheck(double nats, double rounding) {
  /** Float32 on the way to a sum or a logarithm. */
  private static final double FLOAT = 1e-5;

  /** Below this a sum of weights in float32 has no digits left. */
  private static final double TINY = 1e-30;

  /** One head's tokens: what each should weigh. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Weighed(
      List<Seen> tokens, double[] weights, boolean[] forced, double log, double slack) {
    double total() {
      return Arrays.stream(weights).sum();
    }
  }

  /** Checks all slices of a run of a scene whose sequences have one row each. */
  public void rows(AttentionScene scene, SceneRun run) {
    for (int kvHead = 0; kvHead < scene.layer().heads(); kvHead++) {
      List<SceneTruth> truths = SceneTruth.of(scene, kvHead);
      for (int s = 0; s < scene.sequences(); s++) {
        int firstHead = kvHead * scene.sharing();
        PageSelection.Slice slice = run.slice(s, 0, firstHead);
        String what = scene + ", sequence " + s + ", key/value head " + kvHead;
        switch (scene.exactness().get(s)) {
          case Exactness.Dense _ -> assertNull(slice, what);
          case Exactness.Certified wanted ->
              certified(
                  scene, s, truths.get(s), shape(scene, slice, firstHead, what), wanted, what);
          case Exactness.Budgeted wanted ->
              budgeted(
                  scene,
                  s,
                  truths.get(s),
                  shape(scene, slice, firstHead, what),
                  wanted.coverage(),
                  false,
                  what);
          case Exactness.Verified wanted ->
              verified(scene, s, truths.get(s), shape(scene, slice, firstHead, what), wanted, what);
        }
      }
    }
  }

  private static PageSelection.Slice shape(
      AttentionScene scene, PageSelection.@Nullable Slice slice, int firstHead, String what) {
    if (slice == null) {
      throw new AssertionError(what + ": nothing was chosen");
    }
    assertEquals(1, slice.rows(), what);
    assertEquals(firstHead, slice.firstHead(), what);
    assertEquals(scene.sharing(), slice.heads(), what);
    assertEquals(scene.entries().size(), slice.entries(), what);
    return slice;
  }

  static boolean fine(PageSelection.Slice slice, Seen seen) {
    return (slice.fine()[seen.entry()] >> seen.offset() & 1) != 0;
  }

  static boolean coarse(PageSelection.Slice slice, Seen seen) {
    return (slice.coarse()[seen.entry()] >> seen.offset() & 1) != 0;
  }

  /** Weights by the scores that the class uses: of sketches, but for forced tokens, or exact. */
  private Weighed weigh(SceneTruth truth, double[] query, int position, boolean exact) {
    double raise = exact ? 0 : truth.raise(query, position);
    List<Seen> tokens = truth.tokens().stream().filter(t -> t.position() <= position).toList();
    double[] scores = new double[tokens.size()];
    boolean[] forced = new boolean[tokens.size()];
    double largest = Double.NEGATIVE_INFINITY;
    double magnitude = 0;
    for (int i = 0; i < scores.length; i++) {
      forced[i] = truth.forced(tokens.get(i), position);
      scores[i] =
          exact || forced[i]
              ? truth.score(query, tokens.get(i))
              : truth.sketchScore(query, tokens.get(i)) + raise;
      largest = Math.max(largest, scores[i]);
      magnitude = Math.max(magnitude, Math.abs(scores[i]));
    }
    double log = largest;
    return new Weighed(
        tokens,
        Arrays.stream(scores).map(s -> Math.exp(s - log)).toArray(),
        forced,
        log,
        nats * (1 + magnitude) * (1 + Math.sqrt(8 * raise)));
  }

  private void budgeted(
      AttentionScene scene,
      int s,
      SceneTruth truth,
      PageSelection.Slice slice,
      double coverage,
      boolean everyMean,
      String what) {
    int position = scene.position(0);
    double tolerance = scene.bases().get(slice.firstHead() / scene.sharing()).tolerance();
    int count = truth.tokens().size();
    boolean[] wanted = new boolean[count];
    boolean[] needed = new boolean[slice.entries()];
    boolean[] allowed = new boolean[slice.entries()];
    Arrays.fill(needed, everyMean);
    Arrays.fill(allowed, everyMean);
    for (int h = 0; h < slice.heads(); h++) {
      double[] query = truth.query(s, 0, slice.firstHead() + h);
      Weighed weighed = weigh(truth, query, position, false);
      double limit = tolerance * (1 - coverage) * weighed.total() / slice.entries();
      // Both a weight and the total may be off.
      double factor = Math.exp(2 * weighed.slack) * (1 + FLOAT);
      double[] rest = new double[slice.entries()];
      for (int i = 0; i < count; i++) {
        Seen seen = weighed.tokens.get(i);
        boolean kept = fine(slice, seen);
        assertFalse(coarse(slice, seen), what);
        assertTrue(kept || !weighed.forced[i], () -> what + ": a forced token is left out");
        assertTrue(kept || weighed.weights[i] < limit * factor, what + ": " + seen + " is heavy");
        wanted[i] |= weighed.forced[i] || weighed.weights[i] * factor >= limit;
        rest[seen.entry()] += kept ? 0 : weighed.weights[i];
      }
      for (int e = 0; e < rest.length; e++) {
        needed[e] |= rest[e] >= limit * factor;
        allowed[e] |= rest[e] * factor >= limit;
      }
    }
    for (int h = 0; h < slice.heads(); h++) {
      double[] query = truth.query(s, 0, slice.firstHead() + h);
      requireFar(weigh(truth, query, position, false), slice, h, needed, allowed, what);
    }
    for (int i = 0; i < count; i++) {
      int token = i;
      assertTrue(
          wanted[i] || !fine(slice, truth.tokens().get(i)),
          () -> what + ": no head wants " + truth.tokens().get(token));
    }
    assertNull(slice.scores(), what);
  }

  /** The kept weight is the share of the total, if all scores may be off by the slack. */
  private static void requireCoverage(
      double[] weights, boolean[] kept, double coverage, double slack, String what) {
    double inside = 0;
    double outside = 0;
    for (int i = 0; i < weights.length; i++) {
      if (kept[i]) {
        inside += weights[i];
      } else {
        outside += weights[i];
      }
    }
    double share = inside / (inside + outside * Math.exp(-2 * slack));
    assertTrue(share >= coverage * (1 - FLOAT), what + ": kept " + share + " of " + coverage);
  }

  /** Marks what a smallest set may hold: with all that is heavier there was not enough yet. */
  private static void markWanted(
      double[] weights, boolean[] forced, double coverage, double slack, boolean[] wanted) {
    double total = Arrays.stream(weights).sum();
    for (int i = 0; i < weights.length; i++) {
      double before = 0;
      for (int j = 0; j < weights.length; j++) {
        if (forced[j] || weights[j] > weights[i] * Math.exp(2 * slack)) {
          before += weights[j];
        }
      }
      double outside = total - before;
      double share = before / (before + outside * Math.exp(2 * slack));
      wanted[i] |= forced[i] || share < coverage * (1 + FLOAT);
    }
  }

  /**
   * The weights of means: of all pages in {@code needed}, and of no other than those in {@code
   * allowed}.
   */
  private static void requireFar(
      Weighed weighed,
      PageSelection.Slice slice,
      int head,
      boolean[] needed,
      boolean[] allowed,
      String what) {
    double[] sums = new double[slice.entries()];
    boolean[] some = new boolean[slice.entries()];
    for (int i = 0; i < weighed.weights.length; i++) {
      Seen seen = weighed.tokens.get(i);
      if (!fine(slice, seen) && !coarse(slice, seen)) {
        sums[seen.entry()] += weighed.weights[i];
        some[seen.entry()] = true;
      }
    }
    for (int e = 0; e < sums.length; e++) {
      double far = slice.hasFar() ? slice.far()[head * slice.entries() + e] : 0;
      assertTrue(far > 0 || !(some[e] && needed[e]), what + ": page " + e + " is left out");
      assertTrue(far == 0 || (some[e] && allowed[e]), what + ": page " + e + " is read");
      if (far == 0) {
        continue;
      }
      double expected = sums[e] * Math.exp(weighed.log - slice.farLog()[head]);
      if (expected > TINY) {
        assertEquals(
            Math.log(expected), Math.log(far), weighed.slack + FLOAT, what + ": page " + e);
      }
    }
  }

  private void certified(
      AttentionScene scene,
      int s,
      SceneTruth truth,
      PageSelection.Slice slice,
      Exactness.Certified wanted,
      String what) {
    int position = scene.position(0);
    double breadth = truth.breadth(position);
    boolean some = false;
    for (Seen seen : truth.tokens()) {
      assertFalse(fine(slice, seen) && coarse(slice, seen), what);
      assertTrue(fine(slice, seen) || !truth.forced(seen, position), what);
      some |= !fine(slice, seen);
    }
    assertFalse(some && !(breadth > 0), what + ": values without a spread are read whole");
    for (int h = 0; h < slice.heads(); h++) {
      double[] query = truth.query(s, 0, slice.firstHead() + h);
      Weighed weighed = weigh(truth, query, position, true);
      if (some) {
        requireScores(truth, query, slice, h, what);
        boolean[] all = new boolean[slice.entries()];
        Arrays.fill(all, true);
        requireFar(weighed, slice, h, all, all, what);
      }
      double cost = 0;
      double[] squares = new double[slice.entries()];
      for (int i = 0; i < weighed.weights.length; i++) {
        Seen seen = weighed.tokens.get(i);
        if (coarse(slice, seen)) {
          cost += weighed.weights[i] * seen.token().residual();
        } else if (!fine(slice, seen)) {
          squares[seen.entry()] += weighed.weights[i] * weighed.weights[i];
        }
      }
      for (int e = 0; e < squares.length; e++) {
        cost += Math.sqrt(squares[e]) * truth.page(e).stretch();
      }
      double share = some ? cost / weighed.total() / breadth : 0;
      double bound = slice.bound()[h];
      String claim = what + ", head " + h + ": bound " + bound + ", costs " + share;
      // Lengths are stored in half precision, rounded up.
      assertTrue(bound >= share * (1 - 2 * weighed.slack - FLOAT), claim);
      assertTrue(bound <= share * (1 + 2 * weighed.slack + 0x1p-9) + rounding, claim);
      assertTrue(bound <= wanted.epsilon() * (1 + FLOAT), claim);
    }
  }

  private void requireScores(
      SceneTruth truth, double[] query, PageSelection.Slice slice, int head, String what) {
    float[] scores = slice.scores();
    assertNotNull(scores, what);
    for (Seen seen : truth.tokens()) {
      double exact = truth.score(query, seen);
      assertEquals(
          exact,
          scores[head * slice.scoreStride() + seen.place()],
          (nats + 1e-7) * (1 + Math.abs(exact)),
          what);
    }
  }

  private void verified(
      AttentionScene scene,
      int s,
      SceneTruth truth,
      PageSelection.Slice slice,
      Exactness.Verified wanted,
      String what) {
    budgeted(scene, s, truth, slice, wanted.coverage(), true, what);
    assertEquals(slice.hasFar() ? ErrorAudit.samples(wanted) : 0, slice.samples(), what);
    int position = scene.position(0);
    for (int h = 0; h < slice.heads() && slice.samples() > 0; h++) {
      double[] query = truth.query(s, 0, slice.firstHead() + h);
      double raise = truth.raise(query, position);
      double sum = 0;
      for (int e = 0; e < slice.entries(); e++) {
        sum += slice.far()[h * slice.entries() + e];
      }
      assertEquals(slice.farLog()[h] + Math.log(sum), slice.sampledLog()[h], FLOAT * 10, what);
      for (int i = 0; i < slice.samples(); i++) {
        int place = slice.sampleToken()[h * slice.samples() + i];
        Seen seen =
            truth.tokens().stream().filter(t -> t.place() == place).findFirst().orElseThrow();
        assertFalse(fine(slice, seen), what + ": a sample of what is read anyway");
        double estimate = truth.sketchScore(query, seen) + raise;
        assertEquals(
            estimate,
            slice.sampleLog()[h * slice.samples() + i],
            (nats + 1e-6) * (1 + Math.abs(estimate)) * (1 + Math.sqrt(8 * raise)),
            what);
      }
    }
  }

  /** Checks the slices of a prompt of class BUDGETED. */
  public void prompt(AttentionScene scene, SceneRun run, double coverage) {
    for (int first = 0; first < scene.rows(); ) {
      int end = first;
      int block = scene.position(first) / 64;
      while (end < scene.rows() && scene.position(end) / 64 == block) {
        end++;
      }
      for (int head = 0; head < scene.heads(); head++) {
        PageSelection.Slice slice = run.slice(0, first, head);
        String what = scene + ", rows " + first + " to " + end + ", head " + head;
        if (scene.position(first) < 8192) {
          assertNull(slice, what);
        } else {
          assertNotNull(slice, what);
          assertEquals(first, slice.firstRow(), what);
          assertEquals(end - first, slice.rows(), what);
          assertEquals(1, slice.heads(), what);
          block(scene, slice, coverage, what);
        }
      }
      first = end;
    }
  }

  private void block(
      AttentionScene scene, PageSelection.Slice slice, double coverage, String what) {
    SceneTruth truth = SceneTruth.of(scene, slice.firstHead() / scene.sharing()).getFirst();
    int rows = slice.rows();
    int start = scene.position(slice.firstRow());
    int last = scene.position(slice.firstRow() + rows - 1);
    int count = 0;
    while (count < scene.entries().size() && scene.entries().get(count).firstPosition() <= last) {
      count++;
    }
    double[] weights = new double[count];
    double slack = 0;
    for (int i = 0; i < rows; i++) {
      if ((rows - 1 - i) % 2 == 0) {
        int row = slice.firstRow() + i;
        double[] query = truth.query(0, row, slice.firstHead());
        slack = Math.max(slack, addProbe(truth, query, scene.position(row), weights));
      }
    }
    boolean[] forced = new boolean[count];
    boolean[] kept = new boolean[count];
    for (int e = 0; e < count; e++) {
      Entry entry = scene.entries().get(e);
      int end = entry.firstPosition() + entry.length();
      forced[e] = entry.firstPosition() < 16 || end > start - 1024 || entry.pinned();
      int visible = Math.min(entry.length(), last + 1 - entry.firstPosition());
      int mask = slice.fine()[e] & ((1 << visible) - 1);
      kept[e] = mask != 0;
      assertTrue(mask == 0 || mask == (1 << visible) - 1, what + ": half a page");
      assertTrue(kept[e] || !forced[e], what + ": a forced page is left out");
      assertEquals(0, slice.coarse()[e], what);
    }
    assertFalse(slice.hasFar(), what);
    requireCoverage(weights, kept, coverage, slack, what);
    boolean[] wanted = new boolean[count];
    markWanted(weights, forced, coverage, slack, wanted);
    for (int e = 0; e < count; e++) {
      assertTrue(wanted[e] || !kept[e], what + ": page " + e + " of " + PAGE_TOKENS);
    }
  }

  /** Adds a probe's shares; returns how far its scores may be off. */
  private double addProbe(SceneTruth truth, double[] query, int position, double[] weights) {
    List<Seen> tokens = truth.tokens().stream().filter(t -> t.position() <= position).toList();
    double[] scores = tokens.stream().mapToDouble(t -> truth.sketchScore(query, t)).toArray();
    double largest = Arrays.stream(scores).max().orElseThrow();
    double total = Arrays.stream(scores).map(s -> Math.exp(s - largest)).sum();
    double magnitude = 0;
    for (int i = 0; i < scores.length; i++) {
      weights[tokens.get(i).entry()] += Math.exp(scores[i] - largest) / total;
      magnitude = Math.max(magnitude, Math.abs(scores[i]));
    }
    return 2 * nats * (1 + magnitude);
  }
}
