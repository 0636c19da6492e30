package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.SketchBasis;
import java.util.Arrays;
import java.util.List;

/** The numbers of a cache in 8 bits, written down once more, in double, without any layout. */
public final class NaiveQuantization {
  private NaiveQuantization() {}

  /**
   * One token of one head.
   *
   * @param key as read in 8 bits
   * @param value as read in 8 bits
   * @param coarse the value as read in 4 bits
   * @param residual length of what that changes
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  public record Token(double[] key, double[] value, double[] coarse, double residual) {
    /** Rounds one head's part of a key and a value. */
    public static Token of(float[] key, int keyAt, int keySize, float[] value, int at, int size) {
      double[] fine = round(Arrays.copyOfRange(value, at, at + size), false);
      double[] coarse = round(Arrays.copyOfRange(value, at, at + size), true);
      return new Token(
          round(Arrays.copyOfRange(key, keyAt, keyAt + keySize), false),
          fine,
          coarse,
          distance(fine, coarse));
    }
  }

  /**
   * What a page says of the values of one head.
   *
   * @param mean rounded
   * @param stretch the largest singular value of the differences from it, or a little more
   * @param spread the largest distance from the exact mean
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  public record Page(double[] mean, double stretch, double spread) {
    /** Summarises some tokens. */
    public static Page of(List<Token> tokens) {
      double[] exact = new double[tokens.getFirst().value.length];
      for (Token token : tokens) {
        Arrays.setAll(exact, c -> exact[c] + token.value[c] / tokens.size());
      }
      double largest = Arrays.stream(exact).map(Math::abs).max().orElse(0);
      double scale = half(largest / 127);
      double[] mean = exact.clone();
      Arrays.setAll(mean, c -> scale * code(exact[c], scale));
      double spread = 0;
      for (Token token : tokens) {
        spread = Math.max(spread, distance(token.value, exact));
      }
      return new Page(mean, stretchOf(tokens, mean), spread);
    }
  }

  /** The 16th root of the trace of the 16th power of the differences' products; see docs. */
  private static double stretchOf(List<Token> tokens, double[] mean) {
    int count = tokens.size();
    double[][] power = new double[count][count];
    double trace = 0;
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < count; j++) {
        for (int c = 0; c < mean.length; c++) {
          power[i][j] += (tokens.get(i).value[c] - mean[c]) * (tokens.get(j).value[c] - mean[c]);
        }
      }
      trace += power[i][i];
    }
    if (count < 16 || trace == 0) {
      return Math.sqrt(trace);
    }
    double scale = trace;
    for (double[] row : power) {
      Arrays.setAll(row, j -> row[j] / scale);
    }
    for (int i = 0; i < 4; i++) {
      power = square(power);
    }
    double sixteenth = 0;
    for (int i = 0; i < count; i++) {
      sixteenth += power[i][i];
    }
    return Math.sqrt(trace * Math.pow(sixteenth, 1.0 / 16));
  }

  private static double[][] square(double[][] x) {
    double[][] square = new double[x.length][x.length];
    for (int i = 0; i < x.length; i++) {
      for (int j = 0; j < x.length; j++) {
        for (int k = 0; k < x.length; k++) {
          square[i][j] += x[i][k] * x[k][j];
        }
      }
    }
    return square;
  }

  /** Rounds a vector in groups of 32 channels, to 8 bits or to the upper 4 of them. */
  public static double[] round(float[] x, boolean coarse) {
    double[] y = new double[x.length];
    for (int group = 0; group < x.length; group += 32) {
      double largest = 0;
      int end = Math.min(x.length, group + 32);
      for (int i = group; i < end; i++) {
        largest = Math.max(largest, Math.abs(x[i]));
      }
      double scale = half((float) largest / 127);
      for (int i = group; i < end; i++) {
        int unsigned = code(x[i], scale) + 128;
        y[i] = scale * (coarse ? unsigned / 16 * 16 + 8 - 128 : unsigned - 128);
      }
    }
    return y;
  }

  private static double half(double x) {
    return Float.float16ToFloat(Float.floatToFloat16((float) x));
  }

  private static int code(double x, double scale) {
    return scale == 0 ? 0 : (int) Math.clamp(Math.rint((float) x / (float) scale), -127.0, 127.0);
  }

  /** What a sketch says of the channels of a key. */
  public static double[] sketch(double[] key, SketchBasis basis) {
    double[] seen = new double[basis.channels()];
    for (int c = 0; c < seen.length; c++) {
      double turned = 0;
      for (int i = 0; i < key.length; i++) {
        turned += basis.toKey()[c * key.length + i] * (key[i] - basis.mean()[i]);
      }
      double most = Math.pow(2, basis.bits()[c] - 1);
      double interval = Math.clamp(Math.floor(turned / basis.step()[c]), -most, most - 1);
      seen[c] = (interval + 0.5) * basis.step()[c];
    }
    return seen;
  }

  /** The product of a query with a key of which only the sketch is known. */
  public static double product(double[] query, double[] sketch, SketchBasis basis) {
    double sum = 0;
    for (int i = 0; i < query.length; i++) {
      sum += query[i] * basis.mean()[i];
      for (int c = 0; c < sketch.length; c++) {
        sum += query[i] * basis.toQuery()[c * query.length + i] * sketch[c];
      }
    }
    return sum;
  }

  /** The distance of two vectors. */
  public static double distance(double[] a, double[] b) {
    double squares = 0;
    for (int i = 0; i < a.length; i++) {
      squares += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return Math.sqrt(squares);
  }
}
