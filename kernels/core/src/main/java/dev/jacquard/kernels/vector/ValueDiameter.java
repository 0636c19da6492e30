package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.kernels.WidestPages;
import jdk.incubator.vector.FloatVector;

/**
 * A lower bound of the diameter of the values that a row sees: a distance between two tokens of its
 * {@link WidestPages}, found in floats and measured in double. Buffers of one thread.
 */
final class ValueDiameter {
  private static final int TOKENS = WidestPages.COUNT * PAGE_TOKENS;
  private static final int CHAINS = TokenKernels.CHAINS;

  private static final int WAYS = 3;

  /** Less than the roundings of a sum in double. */
  private static final double ROUNDED_DOWN = 1 - 1e-9;

  private final WidestPages widest = new WidestPages();
  private final Q8Expansion expansion = new Q8Expansion();
  private final float[] chains = new float[TOKENS * CHAINS];
  private final float[] squares = new float[TOKENS];
  private float[] values = {};
  private int padded;

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

  /**
   * From the first token to the farthest, from there to the farthest, and once more: the longest of
   * the three ways.
   */
  private double farthest(SelectionRow row, int kvHead) {
    int stride = reserve(row.valueSize());
    int count = 0;
    for (int i = 0; i < widest.size(); i++) {
      count += expand(row, kvHead, widest.entry(i), count, stride);
    }
    double longest = 0;
    int from = 0;
    for (int way = 0; way < WAYS && count > 0; way++) {
      int to = farthest(from, count, stride);
      longest = Math.max(longest, squareDistance(from * stride, to * stride, row.valueSize()));
      from = to;
    }
    return Math.sqrt(longest);
  }

  private int reserve(int size) {
    int stride = TokenKernels.padded(size);
    if (values.length != TOKENS * stride || padded != size) {
      values = new float[TOKENS * stride];
      padded = size;
    }
    return stride;
  }

  /** Expands the values of an entry behind {@code count} others; returns how many they are. */
  private int expand(SelectionRow row, int kvHead, int entry, int count, int stride) {
    int tokens = row.view().length(entry);
    int page = row.view().page(entry);
    expansion.values(
        row.kv(), row.layer(), page, kvHead, 0, tokens, values, count * stride, stride);
    return tokens;
  }

  /** The length of the longest visible value of the open page. */
  double openLength(SelectionRow row, int kvHead) {
    int stride = reserve(row.valueSize());
    double longest = 0;
    for (int e = row.entries() - 1; e >= 0 && row.open(e); e--) {
      expand(row, kvHead, e, 0, stride);
      for (int t = 0; t < Integer.bitCount(row.visible(e)); t++) {
        double square = 0;
        for (int c = t * stride; c < t * stride + row.valueSize(); c++) {
          square += (double) values[c] * values[c];
        }
        longest = Math.max(longest, Math.sqrt(square));
      }
    }
    return longest;
  }

  private double squareDistance(int a, int b, int size) {
    double square = 0;
    for (int c = 0; c < size; c++) {
      double difference = (double) values[a + c] - values[b + c];
      square += difference * difference;
    }
    return square;
  }

  /** The token that is farthest from another; of several the first. */
  private int farthest(int token, int count, int stride) {
    for (int t = 0; t < count; t++) {
      distance(values, token * stride, t * stride, stride, chains, t * CHAINS);
    }
    TokenKernels.sum16(chains, 0, count, squares, 0);
    int farthest = 0;
    for (int t = 1; t < count; t++) {
      farthest = squares[t] > squares[farthest] ? t : farthest;
    }
    return farthest;
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
