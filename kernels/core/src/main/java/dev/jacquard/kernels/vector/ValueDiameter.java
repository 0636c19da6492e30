package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.kernels.WidestPages;
import jdk.incubator.vector.FloatVector;

/**
 * A lower bound of the diameter of the values that a row sees: the largest distance of two tokens
 * of its {@link WidestPages}. The pair is found in floats and measured in double. Buffers of one
 * thread.
 */
final class ValueDiameter {
  private static final int TOKENS = WidestPages.COUNT * PAGE_TOKENS;
  private static final int CHAINS = TokenKernels.CHAINS;

  /** Less than the roundings of a sum in double. */
  private static final double ROUNDED_DOWN = 1 - 1e-9;

  private final WidestPages widest = new WidestPages();
  private final Q8Expansion expansion = new Q8Expansion();
  private final float[] chains = new float[PAGE_TOKENS * CHAINS];
  private final float[] squares = new float[PAGE_TOKENS];
  private float[] values = {};

  /** NaN if a value of a closed page is not finite; 0 if there is no closed page. */
  double of(SelectionRow row, int kvHead) {
    widest.clear();
    for (int e = 0; e < row.entries(); e++) {
      if (!row.open(e)) {
        widest.offer(e, row.meanNumber(row.view().page(e), kvHead, SelectionRow.SPREAD));
      }
    }
    return Math.max(widest.largest(), farthest(row, kvHead) * ROUNDED_DOWN);
  }

  private double farthest(SelectionRow row, int kvHead) {
    int size = row.valueSize();
    int stride = TokenKernels.padded(size);
    if (values.length != TOKENS * stride) {
      values = new float[TOKENS * stride];
    }
    float largest = 0;
    int from = 0;
    int to = 0;
    int count = 0;
    for (int i = 0; i < widest.size(); i++) {
      int entry = widest.entry(i);
      int tokens = row.view().length(entry);
      int page = row.view().page(entry);
      expansion.values(
          row.kv(), row.layer(), page, kvHead, 0, tokens, values, count * stride, stride);
      for (int a = 0; a < count + tokens; a++) {
        int b = farthest(a, count, tokens, stride);
        if (squares[b - count] > largest) {
          largest = squares[b - count];
          from = a;
          to = b;
        }
      }
      count += tokens;
    }
    double sum = 0;
    for (int c = 0; c < size; c++) {
      double difference = (double) values[from * stride + c] - values[to * stride + c];
      sum += difference * difference;
    }
    return Math.sqrt(sum);
  }

  /** Which of the tokens {@code first … first + count − 1} is farthest from another. */
  private int farthest(int token, int first, int count, int stride) {
    for (int t = 0; t < count; t++) {
      distance(values, token * stride, (first + t) * stride, stride, chains, t * CHAINS);
    }
    TokenKernels.sum16(chains, 0, count, squares, 0);
    int farthest = 0;
    for (int t = 1; t < count; t++) {
      farthest = squares[t] > squares[farthest] ? t : farthest;
    }
    return first + farthest;
  }

  private static void distance(float[] x, int a, int b, int size, float[] chains, int to) {
    for (int lane = 0; lane < CHAINS; lane += FLOATS) {
      FloatVector sum = FloatVector.zero(FLOAT);
      for (int i = lane; i < size; i += CHAINS) {
        FloatVector difference =
            FloatVector.fromArray(FLOAT, x, a + i).sub(FloatVector.fromArray(FLOAT, x, b + i));
        sum = difference.fma(difference, sum);
      }
      sum.intoArray(chains, to + lane);
    }
  }
}
