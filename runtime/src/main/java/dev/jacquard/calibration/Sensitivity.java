package dev.jacquard.calibration;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.Op;
import java.lang.System.Logger.Level;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * How much the logits depend on the attention of each layer that can be sketched: the divergence
 * KL(without ‖ with) that noise of a tenth of the output's length makes in the last rows of a
 * chunk, as the geometric mean over chunks. It grows with the square of the noise, and so with that
 * of the weight that is left out; layers whose limits go with the inverse roots of it cost the
 * logits alike (decision 0019).
 *
 * <p>One thread uses it, that of the executable.
 */
final class Sensitivity {
  private static final System.Logger LOGGER = System.getLogger(Sensitivity.class.getName());

  /** Rows of a chunk that are examined; their logits are held. */
  static final int ROWS = 8;

  /** Rows of the text for each one that is computed anew. */
  private static final int SPARSENESS = 8;

  /** Length of the noise, for a length of the output of 1. */
  private static final double NOISE = 0.1;

  /**
   * Largest factor, and the inverse of the least. What is left out at worst grows with it, and the
   * noise of a few rows, close to one another in the text, is no ground for more.
   */
  private static final double MOST = 3;

  private final Executable executable;
  private final List<CalibrationSite> sites;
  private final float[][] plain;
  private final double[] plainLog = new double[ROWS];

  /** Of each site: the sum over chunks of the divergence's logarithm. */
  private final double[] logs;

  private float[] output = {};
  private int chunks;
  private int examined;

  /**
   * Of a model.
   *
   * @param sites its layers that can be sketched
   * @param vocabulary width of the logits
   */
  Sensitivity(Executable executable, List<CalibrationSite> sites, int vocabulary) {
    this.executable = executable;
    this.sites = sites;
    logs = new double[sites.size()];
    plain = new float[compares() ? ROWS : 0][vocabulary];
  }

  /** One layer has nothing that it could be compared with. */
  private boolean compares() {
    return sites.size() > 1;
  }

  /**
   * Examines the chunk that {@code reader} has just read; of many chunks only some, so that it
   * takes little of the calibration's time whatever the number of layers is.
   *
   * @param skip rows at the beginning that are never examined
   */
  void examine(ChunkReader reader, int[] tokens, int position, int skip) {
    int every = Math.ceilDiv(SPARSENESS * ROWS * (sites.size() + 1), tokens.length);
    int chunk = chunks++;
    int first = Math.max(skip, tokens.length - ROWS);
    if (!compares() || chunk % every != 0 || first >= tokens.length) {
      return;
    }
    reader.repeat(
        tokens,
        position,
        first,
        (op, rows) -> {},
        (row, logits) -> {
          System.arraycopy(logits, 0, plain[row], 0, logits.length);
          plainLog[row] = logOfSum(logits);
        });
    examined++;
    for (int i = 0; i < sites.size(); i++) {
      int site = i;
      Random random = new Random(chunk);
      double[] sum = new double[1];
      reader.repeat(
          tokens,
          position,
          first,
          (op, rows) -> {
            if (op.layer() == sites.get(site).layer()) {
              disturb(op, rows, random);
            }
          },
          (row, logits) -> sum[0] += divergence(row, logits));
      logs[site] += Math.log(sum[0]);
    }
  }

  /** Adds noise of one length in a random direction to each row of a layer's output. */
  private void disturb(Op.Attention op, int rows, Random random) {
    int width = op.out().width();
    if (output.length < width) {
      output = new float[width];
    }
    double[] noise = new double[width];
    for (int row = 0; row < rows; row++) {
      executable.read(op.out(), row, output, 0);
      double ofOutput = 0;
      double ofNoise = 0;
      for (int i = 0; i < width; i++) {
        noise[i] = random.nextGaussian();
        ofOutput += (double) output[i] * output[i];
        ofNoise += noise[i] * noise[i];
      }
      double factor = NOISE * Math.sqrt(ofOutput / ofNoise);
      for (int i = 0; i < width; i++) {
        output[i] += (float) (factor * noise[i]);
      }
      executable.write(op.out(), row, output, 0);
    }
  }

  private double divergence(int row, float[] logits) {
    float[] expected = plain[row];
    double difference = logOfSum(logits) - plainLog[row];
    double sum = 0;
    for (int i = 0; i < expected.length; i++) {
      sum += Math.exp(expected[i] - plainLog[row]) * (expected[i] - logits[i] + difference);
    }
    return sum;
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

  /**
   * The factor on the limit of each layer, in the order of the sites: {@code mean of the roots of
   * all divergences / root of its own}, within bounds. So the mean of the inverses is 1, and with
   * it the most tokens that the layers can read together, which go with the inverse of the limit,
   * stay what they were. 1 for all where nothing was to be measured.
   */
  List<Float> tolerances() {
    if (!compares()) {
      return sites.stream().map(_ -> 1f).toList();
    }
    double[] roots = Arrays.stream(logs).map(log -> Math.exp(log / examined / 2)).toArray();
    if (!Arrays.stream(roots).allMatch(root -> root > 0 && root <= Double.MAX_VALUE)) {
      LOGGER.log(
          Level.WARNING,
          "noise in the attention of layers {0} changes the logits by {1} (roots of nats), which"
              + " cannot be compared: all layers get the same share of what attention leaves out",
          sites.stream().map(CalibrationSite::layer).toList(),
          Arrays.toString(roots));
      return sites.stream().map(_ -> 1f).toList();
    }
    double mean = Arrays.stream(roots).average().orElseThrow();
    return Arrays.stream(roots)
        .mapToObj(root -> (float) Math.clamp(mean / root, 1 / MOST, MOST))
        .toList();
  }
}
