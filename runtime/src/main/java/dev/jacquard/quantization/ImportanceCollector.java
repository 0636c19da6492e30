package dev.jacquard.quantization;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Weight;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;

/**
 * Measures an {@link ImportanceMatrix}: reads a text with the model and adds up the squares of what
 * each matrix is multiplied with, column by column.
 */
public final class ImportanceCollector {
  private static final class Sums {
    final double[] squares;
    long rows;

    Sums(int columns) {
      squares = new double[columns];
    }
  }

  private final ExaminedModel model;
  private final boolean output;
  private final Map<String, Sums> sums = new HashMap<>();
  private float[] row = {};

  /**
   * Of a model.
   *
   * @param output whether the output matrix is measured too, which llama.cpp leaves out unless
   *     asked
   */
  public ImportanceCollector(ExaminedModel model, boolean output) {
    this.model = model;
    this.output = output;
  }

  /**
   * Reads a text.
   *
   * @param pieces tokens, each read from an empty context; all of one length
   * @param datasets names of the texts, for the file
   * @param progress told the finished share; may throw to stop
   * @throws QuantizationException if the model computes a number that is not finite
   */
  public ImportanceMatrix collect(
      List<int[]> pieces, List<String> datasets, DoubleConsumer progress) {
    for (int i = 0; i < pieces.size(); i++) {
      progress.accept((double) i / pieces.size());
      // The last layer computes only rows whose output is wanted, so that of all rows is.
      model.read(pieces.get(i), 0, (_, op) -> add(op), (_, _) -> {});
    }
    progress.accept(1);
    Map<String, ImportanceMatrix.Entry> entries = new HashMap<>();
    sums.forEach((name, s) -> entries.put(name, entry(name, s)));
    return new ImportanceMatrix(
        entries, datasets, pieces.size(), pieces.isEmpty() ? 0 : pieces.getFirst().length);
  }

  private static ImportanceMatrix.Entry entry(String name, Sums sums) {
    float[] squares = new float[sums.squares.length];
    for (int i = 0; i < squares.length; i++) {
      squares[i] = (float) sums.squares[i];
      if (!Float.isFinite(squares[i])) {
        throw new QuantizationException(
            "column %d of what %s is multiplied with is not finite: the model is damaged ('inspect --verify' shows where)"
                .formatted(i, name));
      }
    }
    return new ImportanceMatrix.Entry(squares, new long[] {sums.rows});
  }

  private void add(Op op) {
    switch (op) {
      case Op.MatMul o ->
          add(o.in(), o.projections().stream().map(p -> p.linear().weight()).toList());
      case Op.FeedForward o -> {
        add(o.in(), List.of(o.gate().weight(), o.up().weight()));
        add(o.hidden(), List.of(o.down().weight()));
      }
      case Op.Head o -> {
        if (output) {
          add(o.in(), List.of(o.output().weight()));
        }
      }
      case Op.Embed _, Op.RmsNorm _, Op.Rope _, Op.WriteKv _ -> {}
      case Op.SelectPages _, Op.Attention _, Op.Add _, Op.SelectRows _ -> {}
    }
  }

  /** Adds the rows of a slot to the sums of the weights that are multiplied with it. */
  private void add(Slot slot, List<Weight> weights) {
    double[] squares = new double[slot.width()];
    if (row.length < squares.length) {
      row = new float[squares.length];
    }
    int rows = model.rows(slot);
    for (int r = 0; r < rows; r++) {
      model.executable().read(slot, r, row, 0);
      for (int i = 0; i < squares.length; i++) {
        squares[i] += (double) row[i] * row[i];
      }
    }
    for (Weight weight : weights) {
      Sums total = sums.computeIfAbsent(weight.name(), _ -> new Sums(squares.length));
      for (int i = 0; i < squares.length; i++) {
        total.squares[i] += squares[i];
      }
      total.rows += rows;
    }
  }
}
