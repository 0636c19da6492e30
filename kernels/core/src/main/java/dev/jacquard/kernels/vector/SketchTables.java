package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.util.Arrays;

/**
 * Scores of sketches as look-ups: for one query head, the sum of the weights of every four bits of
 * a sketch, rounded to whole steps so that 64 tokens are looked up at once in lanes of bytes.
 *
 * <p>The two tables of a byte of the sketch together span at most 255 steps, so their sum is a byte
 * too; the widest byte decides the step. A table's entry is off by at most half a step, hence a
 * score, {@code base + step · Σ entries}, by at most {@code step · sketchBytes}, apart from float
 * rounding. The error of a score has a standard deviation of {@code step · √(sketchBytes / 6)}.
 *
 * <pre>
 *  tables of a head:  byte 0: low nibble [64] | high nibble [64] | byte 1: …
 * </pre>
 *
 * The 16 entries of a table stand there four times, for vectors of 64 bytes and shorter ones alike.
 */
final class SketchTables {
  /** Bytes of the table of a nibble. */
  static final int TABLE = 64;

  /** The largest sum of entries: one more, the threshold that keeps nothing, is still a short. */
  private static final int MOST_STEPS = Short.MAX_VALUE - 1;

  /** Rounding may lift each of the two tables of a byte by half a step. */
  private static final int STEPS_OF_BYTE = 254;

  private byte[] tables = {};
  private float[] base = {};
  private float[] step = {};
  private int sketchBytes;

  /** Buffers of one thread. */
  static final class Scratch {
    private final float[] chains = new float[VectorMath.CHAINS];
    private float[] weights = {};
    private float[] products = {};
    private float[] balanced = {};
    private final float[] nibble = new float[16];
  }

  /** Makes room for the tables of {@code heads} query heads and keys of {@code keySize}. */
  void reserve(int heads, int keySize) {
    sketchBytes = QuantizedKv.sketchBytes(keySize);
    if (tables.length < heads * stride()) {
      tables = new byte[heads * stride()];
    }
    if (base.length < heads) {
      base = new float[heads];
      step = new float[heads];
    }
  }

  /** Bytes of the tables of a head. */
  int stride() {
    return sketchBytes * 2 * TABLE;
  }

  /** The tables of head h, from {@code h · stride()} on. */
  byte[] tables() {
    return tables;
  }

  /** The score (before a cap) of a sum of no steps; NaN if the query is not finite. */
  float base(int head) {
    return base[head];
  }

  /** What a step adds to a score. */
  float step(int head) {
    return step[head];
  }

  /** One more than the largest sum of steps. */
  int sums() {
    return Math.min(sketchBytes * 255, MOST_STEPS) + 1;
  }

  /**
   * Builds the tables of a head.
   *
   * @param query the query at {@code query[at …]}
   * @param scale factor on the scores
   */
  void build(int head, SketchBasis basis, float[] query, int at, float scale, Scratch scratch) {
    int size = basis.size();
    scratch.balanced = grown(scratch.balanced, basis.channels());
    for (int c = 0; c < basis.channels(); c++) {
      scratch.balanced[c] =
          VectorMath.dot(basis.toQuery(), c * size, query, at, size, scratch.chains);
    }
    double origin = VectorMath.dot(basis.mean(), 0, query, at, size, scratch.chains);
    weigh(head, basis, scale, origin * scale, 1, 0, scratch);
  }

  /**
   * Builds the tables of heads 0 to {@code count} − 1, at most 4, turning their queries together.
   *
   * @param queries one behind the other
   */
  void buildAll(int count, SketchBasis basis, float[] queries, float scale, Scratch scratch) {
    int size = basis.size();
    int channels = basis.channels();
    if (count < 4 || channels < 2 || size % TokenKernels.CHAINS != 0) {
      for (int i = 0; i < count; i++) {
        build(i, basis, queries, i * size, scale, scratch);
      }
      return;
    }
    scratch.products = grown(scratch.products, 4 * channels * TokenKernels.CHAINS);
    scratch.balanced = grown(scratch.balanced, 4 * channels);
    for (int pair = 0; pair < channels; pair += 2) {
      int c = Math.min(pair, channels - 2);
      TokenKernels.multiply2x4(
          basis.toQuery(),
          c * size,
          queries,
          0,
          size,
          scratch.products,
          4 * c * TokenKernels.CHAINS);
    }
    TokenKernels.sum16(scratch.products, 0, 4 * channels, scratch.balanced, 0);
    for (int i = 0; i < 4; i++) {
      double origin = VectorMath.dot(basis.mean(), 0, queries, i * size, size, scratch.chains);
      weigh(i, basis, scale, origin * scale, 4, i, scratch);
    }
  }

  private static float[] grown(float[] array, int count) {
    return array.length < count ? new float[count] : array;
  }

  /** Weights of the bits of a head, whose turned query is every {@code stride}-th number. */
  private void weigh(
      int head,
      SketchBasis basis,
      float scale,
      double product,
      int stride,
      int first,
      Scratch scratch) {
    scratch.weights = grown(scratch.weights, 8 * sketchBytes);
    float[] weights = scratch.weights;
    double origin = product;
    int bit = 0;
    for (int c = 0; c < basis.channels(); c++) {
      float one = scratch.balanced[c * stride + first] * basis.step()[c] * scale;
      int bits = basis.bits()[c];
      origin += one * (0.5 - (1 << (bits - 1)));
      for (int j = 0; j < bits; j++) {
        weights[bit++] = one * (1 << j);
      }
    }
    Arrays.fill(weights, bit, 8 * sketchBytes, 0);
    round(head, weights, origin, scratch.nibble);
  }

  private void round(int head, float[] weights, double origin, float[] sums) {
    float widest = 0;
    double all = 0;
    for (int i = 0; i < sketchBytes; i++) {
      float span = 0;
      for (int j = 8 * i; j < 8 * i + 8; j++) {
        span += Math.abs(weights[j]);
        origin += Math.min(weights[j], 0);
      }
      // Not Math.max: NaN must win.
      widest = span <= widest ? widest : span;
      all += span;
    }
    // Sums of tables that are rounded up must fit as well: two halves of a step for each byte.
    float unit =
        (float) Math.max(widest / (double) STEPS_OF_BYTE, all / (MOST_STEPS - sketchBytes));
    base[head] = (float) origin;
    step[head] = unit;
    if (!(Math.abs(base[head]) <= Float.MAX_VALUE && unit <= Float.MAX_VALUE)) {
      base[head] = Float.NaN;
      step[head] = Float.NaN;
      unit = 0;
    }
    float perStep = unit > 0 ? 1 / unit : 0;
    for (int nibble = 0; nibble < 2 * sketchBytes; nibble++) {
      int to = head * stride() + nibble * TABLE;
      fill(weights, 4 * nibble, perStep, sums, to);
      for (int copy = 16; copy < TABLE; copy += 16) {
        System.arraycopy(tables, to, tables, to + copy, 16);
      }
    }
  }

  /** The 16 sums of four weights, less the smallest of them, in steps. */
  private void fill(float[] weights, int at, float perStep, float[] sums, int to) {
    float smallest = 0;
    for (int j = at; j < at + 4; j++) {
      smallest += Math.min(weights[j], 0);
    }
    sums[0] = -smallest;
    for (int j = 0; j < 4; j++) {
      for (int i = 0; i < 1 << j; i++) {
        sums[i + (1 << j)] = sums[i] + weights[at + j];
      }
    }
    for (int i = 0; i < 16; i++) {
      // Adding 2²³ rounds to a whole number, which then is the low bits.
      tables[to + i] = (byte) Float.floatToRawIntBits(Math.fma(sums[i], perStep, 0x1p23f));
    }
  }
}
