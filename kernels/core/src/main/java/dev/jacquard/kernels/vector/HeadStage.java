package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.PackedMatrix.TILE;

import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.StepInputs;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The output head. A single row whose rule allows it is done in two steps: a pass over a coarse
 * plane bounds every logit, then those that can be among the best are computed in full. Several
 * rows share one pass over the whole matrix, which is less to read than a plane for each.
 *
 * <p>Which rows are candidates depends on the activations only, not on threads.
 */
final class HeadStage implements Stage {
  /**
   * More candidates than this share of the rows are not computed one by one: that would take longer
   * than the whole product (docs/head-results.md).
   */
  private static final int LIMIT = 8;

  private final Domain domain;
  private final Activations x;
  private final MatMulStage.Product product;
  private final MatMulStage dense;
  private final HeadReport report;
  private final long allBytes;
  private final @Nullable CoarsePlane plane;
  private final GatheredRows rows;

  private final float[] upper;
  private final float[] tileMax;
  private final int[] ids;
  private final float[] logits;
  private final BestRows first = new BestRows();
  private volatile boolean spoiled;

  /**
   * A stage.
   *
   * @param plane what is read first, or null: all logits are computed then
   * @param rows the matrix' single rows
   * @param allBytes what the whole product reads
   */
  HeadStage(
      Domain domain,
      Activations x,
      MatMulStage.Product product,
      @Nullable CoarsePlane plane,
      GatheredRows rows,
      long allBytes,
      HeadReport report) {
    this.domain = domain;
    this.x = x;
    this.product = product;
    this.plane = plane;
    this.rows = rows;
    this.allBytes = allBytes;
    this.report = report;
    dense = new MatMulStage(domain, x, List.of(product));
    int tiles = plane == null ? 0 : product.matrix().tiles();
    int most = plane == null ? 0 : product.matrix().rows() / LIMIT;
    upper = new float[tiles * TILE];
    tileMax = new float[tiles];
    ids = new int[most + 1];
    logits = new float[most + TILE];
  }

  @Override
  public void run(Step step) {
    int n = step.rows(domain);
    if (n == 1 && plane != null) {
      computeSome(step, plane);
      return;
    }
    dense.run(step);
    for (int i = 0; i < n; i++) {
      report.row(i).setDense(allBytes);
    }
  }

  /** Computes what the last run left out; its activations are still prepared. */
  void complete(Step step) {
    HeadReport.Row row = report.row(0);
    if (step.rows(domain) == 1 && !row.dense()) {
      dense.run(step);
      row.setDense(row.bytes() + allBytes, allBytes);
    }
  }

  private void computeSome(Step step, CoarsePlane coarse) {
    StepInputs inputs = step.inputs();
    switch (inputs.head(inputs.sequence(inputs.outputRow(0)))) {
      case HeadRule.Dense _ -> computeAll(step, 0);
      case HeadRule.Certified(int best, float within) -> computeSome(step, coarse, best, within, 0);
      case HeadRule.Estimated(int best, float sigmas) ->
          computeSome(step, coarse, best, Float.POSITIVE_INFINITY, sigmas);
    }
  }

  private void computeAll(Step step, long bytesBefore) {
    dense.run(step);
    report.row(0).setDense(bytesBefore + allBytes, allBytes);
  }

  /** Computes candidates only, or all if they are too many or no bound is certain. */
  private void computeSome(Step step, CoarsePlane coarse, int best, float within, float sigmas) {
    int most = product.matrix().rows() / LIMIT;
    boolean few = best <= most || within < Float.POSITIVE_INFINITY;
    if (most == 0 || !few || !coarse.ask(x.floats)) {
      computeAll(step, 0);
      return;
    }
    int threads = step.pool().threads();
    spoiled = false;
    step.pool()
        .run(
            tileMax.length,
            MatMulStage.grain(tileMax.length, threads),
            (from, to, thread) -> scan(coarse, from, to, sigmas));
    if (spoiled) {
      computeAll(step, coarse.bytes());
      return;
    }
    int wanted = Math.min(most, Math.ceilDiv(Math.min(best, most), TILE) * TILE);
    int count = first.choose(upper, tileMax, wanted, ids);
    compute(step, count);
    for (int i = 0; i < count; i++) { // an estimate may have been too low
      upper[ids[i]] = Math.max(upper[ids[i]], logits[i]);
      tileMax[ids[i] / TILE] = Math.max(tileMax[ids[i] / TILE], logits[i]);
    }
    count = collect(threshold(count, best, within), most);
    if (count > most) {
      computeAll(step, coarse.bytes());
      return;
    }
    compute(step, count);
    float[] out = product.out();
    for (int i = 0; i < count; i++) {
      out[ids[i]] = logits[i];
    }
    long bytes = coarse.bytes() + count * rows.rowBytes();
    report.row(0).setCandidates(ids, logits, count, bytes, allBytes);
  }

  /** Upper bounds of the logits of some tiles; the logits themselves are not known for now. */
  private void scan(CoarsePlane coarse, int firstTile, int lastTile, float sigmas) {
    coarse.scan(firstTile, lastTile, sigmas, upper);
    int vocabulary = product.matrix().rows();
    int end = Math.min(lastTile * TILE, vocabulary);
    Arrays.fill(product.out(), firstTile * TILE, end, Float.NEGATIVE_INFINITY);
    Arrays.fill(upper, end, lastTile * TILE, Float.NEGATIVE_INFINITY);
    float[] bias = product.bias();
    for (int i = firstTile * TILE; bias != null && i < end; i++) {
      upper[i] += bias[i];
    }
    boolean finite = true;
    for (int tile = firstTile; tile < lastTile; tile++) {
      float largest = Float.NEGATIVE_INFINITY;
      for (int i = tile * TILE; i < Math.min(tile * TILE + TILE, end); i++) {
        finite &= Math.abs(upper[i]) <= Float.MAX_VALUE;
        largest = Math.max(largest, upper[i]);
      }
      tileMax[tile] = largest;
    }
    if (!finite) {
      spoiled = true;
    }
  }

  /** The logits of {@code ids[0 … count)}. */
  private void compute(Step step, int count) {
    step.pool()
        .run(
            Math.ceilDiv(count, TILE),
            1,
            (from, to, thread) -> {
              for (int group = from; group < to; group++) {
                compute(group * TILE, Math.min(TILE, count - group * TILE), thread);
              }
            });
  }

  private void compute(int from, int count, int thread) {
    rows.multiply(x, ids, from, count, logits, thread);
    float[] bias = product.bias();
    for (int i = from; bias != null && i < from + count; i++) {
      logits[i] += bias[ids[i]];
    }
  }

  /** What a logit must reach to be wanted, as far as {@code logits[0 … count)} tell. */
  private float threshold(int count, int best, float within) {
    Arrays.sort(logits, 0, count);
    float least = count < best ? Float.NEGATIVE_INFINITY : logits[count - best];
    double relative = (double) logits[count - 1] - within;
    float rounded = (float) relative;
    return Math.max(least, rounded > relative ? Math.nextDown(rounded) : rounded);
  }

  /** Ids of all that may reach the threshold, ascending; stops when there are more than most. */
  private int collect(float threshold, int most) {
    int count = 0;
    for (int tile = 0; tile < tileMax.length && count <= most; tile++) {
      if (tileMax[tile] >= threshold) {
        for (int i = tile * TILE; i < (tile + 1) * TILE && count <= most; i++) {
          if (upper[i] >= threshold) {
            ids[count++] = i;
          }
        }
      }
    }
    return count;
  }
}
