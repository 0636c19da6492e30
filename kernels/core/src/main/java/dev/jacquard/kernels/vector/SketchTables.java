package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
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
 * Tables start at multiples of 64 bytes: a vector that crosses a line of the cache is loaded twice,
 * and an array on the heap never starts at one.
 */
final class SketchTables {
  /** Bytes of the table of a nibble. */
  static final int TABLE = 64;

  /** The largest sum of entries: one more, the threshold that keeps nothing, is still a short. */
  private static final int MOST_STEPS = Short.MAX_VALUE - 1;

  /** Rounding may lift each of the two tables of a byte by half a step. */
  private static final int STEPS_OF_BYTE = 254;

  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, Lanes.ORDER);

  private MemorySegment tables = MemorySegment.NULL;
  private float[] balanced = {};
  private float[] base = {};
  private float[] step = {};
  private int sketchBytes;

  /** Buffers of one thread. */
  static final class Scratch {
    private final float[] chains = new float[VectorMath.CHAINS];
    private final float[] rows = new float[8 * TokenKernels.CHAINS];
    private final float[] sums = new float[8];
    private float[] weights = {};
    private float[] entries = {};
    private byte[] steps = {};
  }

  /** Makes room for the tables of {@code heads} query heads and keys of {@code keySize}. */
  void reserve(int heads, int keySize) {
    sketchBytes = QuantizedKv.sketchBytes(keySize);
    if (tables.byteSize() < (long) heads * stride()) {
      tables = Arena.ofAuto().allocate((long) heads * stride(), TABLE);
    }
    if (balanced.length < heads * 8 * sketchBytes) {
      balanced = new float[heads * 8 * sketchBytes];
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
  MemorySegment tables() {
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
   * Builds the tables of heads 0 to {@code count} − 1.
   *
   * @param queries one behind the other
   * @param scale factor on the scores
   */
  void build(int count, SketchBasis basis, float[] queries, float scale, Scratch scratch) {
    balance(0, count, basis, queries, 0, 0, basis.channels(), scratch);
    for (int h = 0; h < count; h++) {
      buildBalanced(h, basis, queries, h * basis.size(), scale, scratch);
    }
  }

  /**
   * Channels {@code from} to {@code to} − 1 of queries in the balanced basis, for {@link
   * #buildBalanced}. Four heads at a time, since the basis is larger than a cache of the first
   * level.
   *
   * @param query queries of heads that share the basis, one behind the other
   */
  void balance(
      int firstHead,
      int heads,
      SketchBasis basis,
      float[] query,
      int at,
      int from,
      int to,
      Scratch scratch) {
    int size = basis.size();
    int h = 0;
    for (; size % TokenKernels.CHAINS == 0 && h + 4 <= heads; h += 4) {
      int c = from;
      for (; c + 2 <= to; c += 2) {
        TokenKernels.multiply2x4(
            basis.toQuery(), c * size, query, at + h * size, size, scratch.rows, 0);
        TokenKernels.sum16(scratch.rows, 0, 8, scratch.sums, 0);
        for (int i = 0; i < 4; i++) {
          balanced[channel(firstHead + h + i, c)] = scratch.sums[i];
          balanced[channel(firstHead + h + i, c + 1)] = scratch.sums[4 + i];
        }
      }
      if (c < to) {
        balanceOne(firstHead + h, 4, basis, query, at + h * size, c, scratch);
      }
    }
    for (int c = from; c < to; c++) {
      balanceOne(firstHead + h, heads - h, basis, query, at + h * size, c, scratch);
    }
  }

  private void balanceOne(
      int firstHead,
      int heads,
      SketchBasis basis,
      float[] query,
      int at,
      int channel,
      Scratch scratch) {
    int size = basis.size();
    for (int h = 0; h < heads; h++) {
      balanced[channel(firstHead + h, channel)] =
          VectorMath.dot(
              basis.toQuery(), channel * size, query, at + h * size, size, scratch.chains);
    }
  }

  private int channel(int head, int channel) {
    return head * 8 * sketchBytes + channel;
  }

  /**
   * Builds the tables of a head whose query was {@link #balance balanced}.
   *
   * @param scale factor on the scores
   */
  void buildBalanced(
      int head, SketchBasis basis, float[] query, int at, float scale, Scratch scratch) {
    if (scratch.weights.length < 8 * sketchBytes) {
      scratch.weights = new float[8 * sketchBytes];
    }
    float[] weights = scratch.weights;
    double origin =
        VectorMath.dot(basis.mean(), 0, query, at, basis.size(), scratch.chains) * scale;
    int bit = 0;
    for (int c = 0; c < basis.channels(); c++) {
      float one = balanced[channel(head, c)] * basis.step()[c] * scale;
      int bits = basis.bits()[c];
      origin += one * (0.5 - (1 << (bits - 1)));
      for (int j = 0; j < bits; j++) {
        weights[bit++] = one * (1 << j);
      }
    }
    Arrays.fill(weights, bit, 8 * sketchBytes, 0);
    round(head, weights, origin, scratch);
  }

  private void round(int head, float[] weights, double origin, Scratch scratch) {
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
    fill(head, weights, unit > 0 ? 1 / unit : 0, scratch);
  }

  /** The 16 sums of each four weights, less the smallest of them, in steps. */
  private void fill(int head, float[] weights, float perStep, Scratch scratch) {
    int nibbles = 2 * sketchBytes;
    if (scratch.entries.length < 16 * nibbles) {
      scratch.entries = new float[16 * nibbles];
      scratch.steps = new byte[16 * nibbles];
    }
    float[] entries = scratch.entries;
    for (int nibble = 0; nibble < nibbles; nibble++) {
      int to = 16 * nibble;
      float smallest = 0;
      for (int j = 4 * nibble; j < 4 * nibble + 4; j++) {
        smallest += Math.min(weights[j], 0);
      }
      entries[to] = -smallest;
      for (int j = 0; j < 4; j++) {
        int half = to + (1 << j);
        for (int i = to; i < half; i++) {
          entries[i + (1 << j)] = entries[i] + weights[4 * nibble + j];
        }
      }
    }
    byte[] steps = scratch.steps;
    for (int i = 0; i < 16 * nibbles; i++) {
      steps[i] = (byte) (int) (entries[i] * perStep + 0.5f);
    }
    for (int nibble = 0; nibble < nibbles; nibble++) {
      long first = (long) LONGS.get(steps, 16 * nibble);
      long second = (long) LONGS.get(steps, 16 * nibble + Long.BYTES);
      long to = (long) head * stride() + nibble * (long) TABLE;
      for (long copy = to; copy < to + TABLE; copy += 16) {
        tables.set(Q8KvStorage.LONG, copy, first);
        tables.set(Q8KvStorage.LONG, copy + Long.BYTES, second);
      }
    }
  }
}
