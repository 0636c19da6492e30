package dev.jacquard.quantization;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * What a model says after the last tokens of some pieces of text, kept outside the heap, and how
 * far another one is from it. Used by one thread.
 */
final class LogitBase implements AutoCloseable {
  /** Values that are kept at most: 256 MB. */
  private static final long MOST_VALUES = 1L << 26;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final Arena arena = Arena.ofConfined();
  private final List<int[]> pieces;
  private final int vocabulary;
  private final int positions;
  private final MemorySegment logits;
  private final double[] logSums;

  /**
   * Has a model read the pieces.
   *
   * @param pieces of one length
   */
  LogitBase(ExaminedModel model, List<int[]> pieces) {
    this.pieces = pieces;
    vocabulary = model.program().logits().width();
    long room = Math.max(1, MOST_VALUES / vocabulary / pieces.size());
    positions = (int) Math.min(room, pieces.getFirst().length);
    logSums = new double[pieces.size() * positions];
    logits = arena.allocate((long) logSums.length * vocabulary * Float.BYTES, Float.BYTES);
    read(
        model,
        (index, values) -> {
          logSums[index] = logOfSum(values);
          MemorySegment.copy(
              values, 0, logits, FLOAT, (long) index * vocabulary * Float.BYTES, vocabulary);
        });
  }

  private void read(ExaminedModel model, ExaminedModel.Logits receiver) {
    for (int i = 0; i < pieces.size(); i++) {
      int first = pieces.get(i).length - positions;
      int index = i * positions - first;
      model.read(
          pieces.get(i),
          first,
          null,
          (position, values) -> receiver.accept(index + position, values));
    }
  }

  /** Tokens after which the models are compared. */
  int positions() {
    return logSums.length;
  }

  /** Mean of KL(base ‖ model) over all positions, in nats. */
  double divergence(ExaminedModel model) {
    double[] sum = new double[1];
    float[] expected = new float[vocabulary];
    read(
        model,
        (index, values) -> {
          MemorySegment.copy(
              logits, FLOAT, (long) index * vocabulary * Float.BYTES, expected, 0, vocabulary);
          double shift = logOfSum(values) - logSums[index];
          double divergence = 0;
          for (int i = 0; i < vocabulary; i++) {
            double difference = (double) expected[i] - values[i] + shift;
            divergence += Math.exp(expected[i] - logSums[index]) * difference;
          }
          sum[0] += divergence;
        });
    return sum[0] / logSums.length;
  }

  private static double logOfSum(float[] logits) {
    float largest = Float.NEGATIVE_INFINITY;
    for (float x : logits) {
      largest = Math.max(largest, x);
    }
    double sum = 0;
    for (float x : logits) {
      sum += Math.exp(x - largest);
    }
    return largest + Math.log(sum);
  }

  @Override
  public void close() {
    arena.close();
  }
}
