package dev.jacquard.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Stored logits after each token of a text: int32 positions, vocabulary, entries, 0; then for each
 * position a float32 logsumexp and its entries: a float32 for each id of the vocabulary, or, where
 * only the best are kept, pairs (int32 id, float32 logit).
 */
public final class ReferenceLogits {
  private final int vocabulary;

  /** {@code [position][entry]}. */
  private final int[][] ids;

  /** {@code [position][entry]}. */
  private final float[][] logits;

  /** Over all logits of a position; as stored (in float32) only where not all of them are. */
  private final double[] logSumExp;

  private ReferenceLogits(int vocabulary, int[][] ids, float[][] logits, double[] logSumExp) {
    this.vocabulary = vocabulary;
    this.ids = ids;
    this.logits = logits;
    this.logSumExp = logSumExp;
  }

  /** Reads a file. */
  public static ReferenceLogits read(Path file) {
    ByteBuffer in;
    try {
      in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    int positions = in.getInt();
    int vocabulary = in.getInt();
    int entries = in.getInt();
    in.getInt();
    int[][] ids = new int[positions][entries];
    float[][] logits = new float[positions][entries];
    double[] logSumExp = new double[positions];
    for (int p = 0; p < positions; p++) {
      logSumExp[p] = in.getFloat();
      for (int e = 0; e < entries; e++) {
        ids[p][e] = entries == vocabulary ? e : in.getInt();
        logits[p][e] = in.getFloat();
      }
      if (entries == vocabulary) {
        logSumExp[p] = logSumExp(logits[p]);
      }
    }
    return new ReferenceLogits(vocabulary, ids, logits, logSumExp);
  }

  /** Number of positions. */
  public int positions() {
    return logSumExp.length;
  }

  /** Largest difference between a stored logit of {@code position} and the candidate's. */
  public double largestDifference(int position, float[] candidate) {
    double largest = 0;
    for (int e = 0; e < ids[position].length; e++) {
      double difference = Math.abs(candidate[ids[position][e]] - logits[position][e]);
      if (Double.isNaN(difference)) {
        return Double.NaN;
      }
      largest = Math.max(largest, difference);
    }
    return largest;
  }

  /**
   * Kullback-Leibler divergence of the candidate from the stored distribution, in nats: over the
   * stored ids plus, where only the best are stored, one bucket for the rest.
   */
  public double divergence(int position, float[] candidate) {
    double candidateSum = logSumExp(candidate);
    double divergence = 0;
    double restStored = 1;
    double restCandidate = 1;
    for (int e = 0; e < ids[position].length; e++) {
      double logP = logits[position][e] - logSumExp[position];
      double logQ = candidate[ids[position][e]] - candidateSum;
      double p = Math.exp(logP);
      divergence += p * (logP - logQ);
      restStored -= p;
      restCandidate -= Math.exp(logQ);
    }
    boolean cut = ids[position].length < vocabulary;
    if (cut && restStored > 0 && restCandidate > 0) {
      divergence += restStored * Math.log(restStored / restCandidate);
    }
    return divergence;
  }

  private static double logSumExp(float[] x) {
    double max = Double.NEGATIVE_INFINITY;
    for (float v : x) {
      max = Math.max(max, v);
    }
    double sum = 0;
    for (float v : x) {
      sum += Math.exp(v - max);
    }
    return max + Math.log(sum);
  }

  /** The stored best id of a position. */
  public int best(int position) {
    return ids[position][bestEntry(position)];
  }

  /** How far the stored best logit of a position is ahead of the second. */
  public double lead(int position) {
    int best = bestEntry(position);
    double second = Double.NEGATIVE_INFINITY;
    for (int e = 0; e < ids[position].length; e++) {
      if (e != best) {
        second = Math.max(second, logits[position][e]);
      }
    }
    return logits[position][best] - second;
  }

  private int bestEntry(int position) {
    return argMax(logits[position]);
  }

  /** Index of the largest value. */
  public static int argMax(float[] x) {
    int best = 0;
    for (int i = 1; i < x.length; i++) {
      if (x[i] > x[best]) {
        best = i;
      }
    }
    return best;
  }
}
