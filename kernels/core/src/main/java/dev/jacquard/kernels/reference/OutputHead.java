package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.HeadReport;
import dev.jacquard.kernels.HeadRule;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.StepInputs;
import java.util.Arrays;

/**
 * The output head: all logits are computed, and those that a rule does not want are then forgotten.
 */
final class OutputHead {
  private final Product product;
  private final HeadReport report;
  private final int[] ids;
  private final float[] kept;

  OutputHead(Program program, CompileOptions options, Product product) {
    this.product = product;
    int vocabulary = program.logits().width();
    report = new HeadReport(options.maxOutputs(), vocabulary);
    ids = new int[vocabulary];
    kept = new float[vocabulary];
  }

  HeadReport report() {
    return report;
  }

  void run(Op.Head op, StepInputs inputs, float[] in, float[] out) {
    int n = inputs.outputs();
    product.multiply(in, n, op.output(), out);
    int vocabulary = op.out().width();
    for (int i = 0; i < n; i++) {
      HeadReport.Row row = report.row(i);
      long bytes = Product.bytes(op.output());
      switch (inputs.head(inputs.sequence(inputs.outputRow(i)))) {
        case HeadRule.Dense _ -> row.setDense(bytes);
        case HeadRule.Certified(int best, float within) ->
            keep(best, within, out, i * vocabulary, vocabulary, row, bytes);
        case HeadRule.Estimated(int best, float _) ->
            keep(best, Float.POSITIVE_INFINITY, out, i * vocabulary, vocabulary, row, bytes);
      }
    }
  }

  /** Computes again what was forgotten of the {@code outputs} rows of the last step. */
  void complete(Op.Head op, int outputs, float[] in, float[] out) {
    product.multiply(in, outputs, op.output(), out);
    long bytes = Product.bytes(op.output());
    for (int i = 0; i < outputs; i++) {
      HeadReport.Row row = report.row(i);
      row.setDense(row.dense() ? row.bytes() : row.bytes() + bytes, bytes);
    }
  }

  /**
   * Keeps the {@code best} largest, as far as they are {@code within} the largest, and forgets the
   * others. Where the largest is no finite number, all are kept.
   */
  private void keep(
      int best, float within, float[] logits, int from, int n, HeadReport.Row row, long bytes) {
    float[] sorted = Arrays.copyOfRange(logits, from, from + n);
    Arrays.sort(sorted);
    if (best >= n || !Float.isFinite(sorted[n - 1])) {
      row.setDense(bytes);
      return;
    }
    float least = sorted[n - best];
    double farthest = (double) sorted[n - 1] - within;
    int equal = best; // of logits like the least, so many are kept, from the lowest id
    for (int i = n - 1; i >= 0 && sorted[i] > least; i--) {
      equal--;
    }
    int size = 0;
    for (int id = 0; id < n; id++) {
      float logit = logits[from + id];
      if (logit >= farthest && (logit > least || (logit == least && equal-- > 0))) {
        kept[size] = logit;
        ids[size++] = id;
      } else {
        logits[from + id] = Float.NEGATIVE_INFINITY;
      }
    }
    row.setCandidates(ids, kept, size, bytes, bytes);
  }
}
