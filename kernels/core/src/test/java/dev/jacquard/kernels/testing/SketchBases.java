package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Bases that no calibration made: random, invertible, good enough to tell tokens apart. */
public final class SketchBases {
  private SketchBases() {}

  /** A basis for each head of a layer, for keys of size about 1. */
  public static List<SketchBasis> of(KvSpec.Layer layer, long seed) {
    return IntStream.range(0, layer.heads())
        .mapToObj(head -> of(layer.keySize(), seed + head))
        .toList();
  }

  /**
   * The unit matrix and random numbers around it; its channels get 3, 2, 1 or 0 bits in turn, as
   * long as there are some.
   */
  private static SketchBasis of(int size, long seed) {
    Random random = new Random(seed);
    double[][] turn = new double[size][size];
    for (int r = 0; r < size; r++) {
      for (int c = 0; c < size; c++) {
        turn[r][c] = (r == c ? 1 : 0) + 0.3 / Math.sqrt(size) * random.nextGaussian();
      }
    }
    double[][] inverse = invert(turn);
    int[] bits = bits(size);
    int channels = (int) IntStream.of(bits).filter(b -> b > 0).count();
    float[] mean = new float[size];
    float[] toKey = new float[channels * size];
    float[] toQuery = new float[channels * size];
    byte[] kept = new byte[channels];
    float[] step = new float[channels];
    for (int i = 0; i < size; i++) {
      mean[i] = (float) (0.2 * random.nextGaussian());
    }
    int channel = 0;
    for (int r = 0; r < size; r++) {
      if (bits[r] > 0) {
        double squares = 0;
        for (int i = 0; i < size; i++) {
          toKey[channel * size + i] = (float) turn[r][i];
          toQuery[channel * size + i] = (float) inverse[i][r];
          squares += turn[r][i] * turn[r][i];
        }
        kept[channel] = (byte) bits[r];
        step[channel] = (float) (3.2 * Math.sqrt(squares) / (1 << bits[r]));
        channel++;
      }
    }
    return new SketchBasis(mean, toKey, toQuery, kept, step, tolerance(seed));
  }

  /** Heads differ, and so do scenes. */
  private static float tolerance(long seed) {
    return switch (Math.floorMod(seed, 3)) {
      case 0 -> 1;
      case 1 -> 0.4f;
      default -> 2.5f;
    };
  }

  private static int[] bits(int size) {
    int[] bits = new int[size];
    int left = QuantizedKv.sketchBits(size);
    for (int c = 0; c < size; c++) {
      bits[c] = Math.min(left, 3 - c % 4);
      left -= bits[c];
    }
    return bits;
  }

  /** Gauss and Jordan's method with column pivots. */
  private static double[][] invert(double[][] matrix) {
    int n = matrix.length;
    double[][] a = new double[n][2 * n];
    for (int r = 0; r < n; r++) {
      System.arraycopy(matrix[r], 0, a[r], 0, n);
      a[r][n + r] = 1;
    }
    for (int c = 0; c < n; c++) {
      int pivot = c;
      for (int r = c; r < n; r++) {
        pivot = Math.abs(a[r][c]) > Math.abs(a[pivot][c]) ? r : pivot;
      }
      double[] row = a[pivot];
      a[pivot] = a[c];
      a[c] = row;
      double head = row[c];
      for (int i = 0; i < 2 * n; i++) {
        row[i] /= head;
      }
      for (int r = 0; r < n; r++) {
        double factor = r == c ? 0 : a[r][c];
        for (int i = 0; i < 2 * n && factor != 0; i++) {
          a[r][i] -= factor * row[i];
        }
      }
    }
    double[][] inverse = new double[n][];
    for (int r = 0; r < n; r++) {
      inverse[r] = Arrays.copyOfRange(a[r], n, 2 * n);
    }
    return inverse;
  }
}
