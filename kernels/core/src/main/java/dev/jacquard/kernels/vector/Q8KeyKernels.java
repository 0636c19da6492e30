package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.QuantizedKv.GROUP;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.Lanes.INT;
import static dev.jacquard.kernels.vector.Lanes.ORDER;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Scores of keys in 8 bits. The keys of a page are transposed in words of four channels, so that
 * vector lanes are tokens, which needs no horizontal sum:
 *
 * <pre>
 *  words[w · 16 + token]     channels 4w … 4w + 3 of a token, a byte each
 *  scales[group · 16 + token]    divided by 2²⁴
 * </pre>
 *
 * <p>A score is {@code Σ_groups scale · Σ_channels q · code}: within a group one chain of fused
 * multiply-adds in the order of the channels, then one chain over the groups; whatever the number
 * of queries and pages that a call serves. Sizes are filled up to a multiple of four with channels
 * for which q is 0. A code is left in the highest byte of its word, which saves a shift: it becomes
 * a float 2²⁴ times too large, and scales are 2²⁴ times too small, which rounds nothing.
 */
final class Q8KeyKernels {
  private static final ValueLayout.OfInt WORD = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ORDER);

  /** What codes are multiplied by on their way to floats; scales must be divided by it. */
  static final float CODE_FACTOR = 1 << 24;

  private static final int TOP = 0xff000000;

  /** Columns that a pass of the transposition takes, in bytes. */
  private static final int COLUMNS = 64;

  /** For each of 1, 2, 4 and 8: which lanes of two rows the lower, and which the upper one gets. */
  private static final int[] SWAPS = swaps();

  private Q8KeyKernels() {}

  private static int[] swaps() {
    int[] lanes = new int[8 * PAGE_TOKENS];
    int at = 0;
    for (int s = 1; s < PAGE_TOKENS; s *= 2) {
      for (int j = 0; j < PAGE_TOKENS; j++) {
        boolean own = (j & s) == 0;
        lanes[at + j] = own ? j : PAGE_TOKENS + j - s;
        lanes[at + PAGE_TOKENS + j] = own ? j + s : PAGE_TOKENS + j;
      }
      at += 2 * PAGE_TOKENS;
    }
    return lanes;
  }

  /** The size of a key, filled up to whole words. */
  static int filled(int keySize) {
    return (keySize + 3) / 4 * 4;
  }

  /** Room for the words of a page. */
  static int pageWords(int size) {
    return (size + COLUMNS - 1) / COLUMNS * (COLUMNS / Integer.BYTES) * PAGE_TOKENS;
  }

  /** Room for the scales of a page. */
  static int pageScales(int size) {
    return (size + GROUP - 1) / GROUP * PAGE_TOKENS;
  }

  /**
   * Transposes the keys of a page, which lie {@code stride} bytes apart. Reads up to 63 bytes
   * behind the last key, which storage has.
   */
  static void transpose(MemorySegment memory, long at, int stride, int[] words, int to) {
    if (FLOATS == PAGE_TOKENS) {
      transposeVectors(memory, at, stride, words, to);
    } else {
      for (int w = 0; w < filled(stride) / 4; w++) {
        for (int t = 0; t < PAGE_TOKENS; t++) {
          words[to + w * PAGE_TOKENS + t] = memory.get(WORD, at + (long) t * stride + 4L * w);
        }
      }
    }
  }

  /** A network that swaps halves: each instruction takes lanes of two rows. */
  private static void transposeVectors(
      MemorySegment memory, long at, int stride, int[] words, int first) {
    IntVector low1 = IntVector.fromArray(INT, SWAPS, 0);
    IntVector high1 = IntVector.fromArray(INT, SWAPS, 16);
    IntVector low2 = IntVector.fromArray(INT, SWAPS, 32);
    IntVector high2 = IntVector.fromArray(INT, SWAPS, 48);
    IntVector low4 = IntVector.fromArray(INT, SWAPS, 64);
    IntVector high4 = IntVector.fromArray(INT, SWAPS, 80);
    IntVector low8 = IntVector.fromArray(INT, SWAPS, 96);
    IntVector high8 = IntVector.fromArray(INT, SWAPS, 112);
    for (int column = 0; column < stride; column += COLUMNS) {
      IntVector r0 = IntVector.fromMemorySegment(INT, memory, at + column, ORDER);
      IntVector r1 = IntVector.fromMemorySegment(INT, memory, at + 1L * stride + column, ORDER);
      IntVector r2 = IntVector.fromMemorySegment(INT, memory, at + 2L * stride + column, ORDER);
      IntVector r3 = IntVector.fromMemorySegment(INT, memory, at + 3L * stride + column, ORDER);
      IntVector r4 = IntVector.fromMemorySegment(INT, memory, at + 4L * stride + column, ORDER);
      IntVector r5 = IntVector.fromMemorySegment(INT, memory, at + 5L * stride + column, ORDER);
      IntVector r6 = IntVector.fromMemorySegment(INT, memory, at + 6L * stride + column, ORDER);
      IntVector r7 = IntVector.fromMemorySegment(INT, memory, at + 7L * stride + column, ORDER);
      IntVector r8 = IntVector.fromMemorySegment(INT, memory, at + 8L * stride + column, ORDER);
      IntVector r9 = IntVector.fromMemorySegment(INT, memory, at + 9L * stride + column, ORDER);
      IntVector r10 = IntVector.fromMemorySegment(INT, memory, at + 10L * stride + column, ORDER);
      IntVector r11 = IntVector.fromMemorySegment(INT, memory, at + 11L * stride + column, ORDER);
      IntVector r12 = IntVector.fromMemorySegment(INT, memory, at + 12L * stride + column, ORDER);
      IntVector r13 = IntVector.fromMemorySegment(INT, memory, at + 13L * stride + column, ORDER);
      IntVector r14 = IntVector.fromMemorySegment(INT, memory, at + 14L * stride + column, ORDER);
      IntVector r15 = IntVector.fromMemorySegment(INT, memory, at + 15L * stride + column, ORDER);
      // Swaps lanes that are 1 apart between rows that are 1 apart.
      IntVector t = low1.selectFrom(r0, r1);
      r1 = high1.selectFrom(r0, r1);
      r0 = t;
      t = low1.selectFrom(r2, r3);
      r3 = high1.selectFrom(r2, r3);
      r2 = t;
      t = low1.selectFrom(r4, r5);
      r5 = high1.selectFrom(r4, r5);
      r4 = t;
      t = low1.selectFrom(r6, r7);
      r7 = high1.selectFrom(r6, r7);
      r6 = t;
      t = low1.selectFrom(r8, r9);
      r9 = high1.selectFrom(r8, r9);
      r8 = t;
      t = low1.selectFrom(r10, r11);
      r11 = high1.selectFrom(r10, r11);
      r10 = t;
      t = low1.selectFrom(r12, r13);
      r13 = high1.selectFrom(r12, r13);
      r12 = t;
      t = low1.selectFrom(r14, r15);
      r15 = high1.selectFrom(r14, r15);
      r14 = t;
      // Swaps lanes that are 2 apart between rows that are 2 apart.
      t = low2.selectFrom(r0, r2);
      r2 = high2.selectFrom(r0, r2);
      r0 = t;
      t = low2.selectFrom(r1, r3);
      r3 = high2.selectFrom(r1, r3);
      r1 = t;
      t = low2.selectFrom(r4, r6);
      r6 = high2.selectFrom(r4, r6);
      r4 = t;
      t = low2.selectFrom(r5, r7);
      r7 = high2.selectFrom(r5, r7);
      r5 = t;
      t = low2.selectFrom(r8, r10);
      r10 = high2.selectFrom(r8, r10);
      r8 = t;
      t = low2.selectFrom(r9, r11);
      r11 = high2.selectFrom(r9, r11);
      r9 = t;
      t = low2.selectFrom(r12, r14);
      r14 = high2.selectFrom(r12, r14);
      r12 = t;
      t = low2.selectFrom(r13, r15);
      r15 = high2.selectFrom(r13, r15);
      r13 = t;
      // Swaps lanes that are 4 apart between rows that are 4 apart.
      t = low4.selectFrom(r0, r4);
      r4 = high4.selectFrom(r0, r4);
      r0 = t;
      t = low4.selectFrom(r1, r5);
      r5 = high4.selectFrom(r1, r5);
      r1 = t;
      t = low4.selectFrom(r2, r6);
      r6 = high4.selectFrom(r2, r6);
      r2 = t;
      t = low4.selectFrom(r3, r7);
      r7 = high4.selectFrom(r3, r7);
      r3 = t;
      t = low4.selectFrom(r8, r12);
      r12 = high4.selectFrom(r8, r12);
      r8 = t;
      t = low4.selectFrom(r9, r13);
      r13 = high4.selectFrom(r9, r13);
      r9 = t;
      t = low4.selectFrom(r10, r14);
      r14 = high4.selectFrom(r10, r14);
      r10 = t;
      t = low4.selectFrom(r11, r15);
      r15 = high4.selectFrom(r11, r15);
      r11 = t;
      // Swaps lanes that are 8 apart between rows that are 8 apart.
      t = low8.selectFrom(r0, r8);
      r8 = high8.selectFrom(r0, r8);
      r0 = t;
      t = low8.selectFrom(r1, r9);
      r9 = high8.selectFrom(r1, r9);
      r1 = t;
      t = low8.selectFrom(r2, r10);
      r10 = high8.selectFrom(r2, r10);
      r2 = t;
      t = low8.selectFrom(r3, r11);
      r11 = high8.selectFrom(r3, r11);
      r3 = t;
      t = low8.selectFrom(r4, r12);
      r12 = high8.selectFrom(r4, r12);
      r4 = t;
      t = low8.selectFrom(r5, r13);
      r13 = high8.selectFrom(r5, r13);
      r5 = t;
      t = low8.selectFrom(r6, r14);
      r14 = high8.selectFrom(r6, r14);
      r6 = t;
      t = low8.selectFrom(r7, r15);
      r15 = high8.selectFrom(r7, r15);
      r7 = t;
      int to = first + column * (PAGE_TOKENS / Integer.BYTES);
      r0.intoArray(words, to);
      r1.intoArray(words, to + 16);
      r2.intoArray(words, to + 32);
      r3.intoArray(words, to + 48);
      r4.intoArray(words, to + 64);
      r5.intoArray(words, to + 80);
      r6.intoArray(words, to + 96);
      r7.intoArray(words, to + 112);
      r8.intoArray(words, to + 128);
      r9.intoArray(words, to + 144);
      r10.intoArray(words, to + 160);
      r11.intoArray(words, to + 176);
      r12.intoArray(words, to + 192);
      r13.intoArray(words, to + 208);
      r14.intoArray(words, to + 224);
      r15.intoArray(words, to + 240);
    }
  }

  /**
   * Transposes the scales of a page, which lie group after group for each token, and divides them
   * by {@link #CODE_FACTOR}.
   *
   * @param lanes where the first scale of each token is
   */
  static void transposeScales(float[] scales, int[] lanes, int groups, float[] target, int to) {
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      for (int g = 0; g < groups; g++) {
        FloatVector.fromArray(FLOAT, scales, g, lanes, lane)
            .mul(1 / CODE_FACTOR)
            .intoArray(target, to + g * PAGE_TOKENS + lane);
      }
    }
  }

  /** Scores of a page for 8 queries. */
  static void score8x1(
      int[] words,
      float[] scales,
      int page,
      float[] q,
      int at,
      int size,
      float[] target,
      int to,
      int stride) {
    int wordPage = page * pageWords(size);
    int scalePage = page * pageScales(size);
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector t00 = FloatVector.zero(FLOAT);
      FloatVector t10 = FloatVector.zero(FLOAT);
      FloatVector t20 = FloatVector.zero(FLOAT);
      FloatVector t30 = FloatVector.zero(FLOAT);
      FloatVector t40 = FloatVector.zero(FLOAT);
      FloatVector t50 = FloatVector.zero(FLOAT);
      FloatVector t60 = FloatVector.zero(FLOAT);
      FloatVector t70 = FloatVector.zero(FLOAT);
      for (int group = 0; group < size; group += GROUP) {
        FloatVector s00 = FloatVector.zero(FLOAT);
        FloatVector s10 = FloatVector.zero(FLOAT);
        FloatVector s20 = FloatVector.zero(FLOAT);
        FloatVector s30 = FloatVector.zero(FLOAT);
        FloatVector s40 = FloatVector.zero(FLOAT);
        FloatVector s50 = FloatVector.zero(FLOAT);
        FloatVector s60 = FloatVector.zero(FLOAT);
        FloatVector s70 = FloatVector.zero(FLOAT);
        int end = Math.min(size, group + GROUP);
        for (int c = group; c < end; c += 4) {
          IntVector x0 = IntVector.fromArray(INT, words, wordPage + c * 4 + lane);
          FloatVector k00 = (FloatVector) x0.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector q00 = FloatVector.broadcast(FLOAT, q[at + c]);
          s00 = k00.fma(q00, s00);
          FloatVector q01 = FloatVector.broadcast(FLOAT, q[at + size + c]);
          s10 = k00.fma(q01, s10);
          FloatVector q02 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c]);
          s20 = k00.fma(q02, s20);
          FloatVector q03 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c]);
          s30 = k00.fma(q03, s30);
          FloatVector q04 = FloatVector.broadcast(FLOAT, q[at + 4 * size + c]);
          s40 = k00.fma(q04, s40);
          FloatVector q05 = FloatVector.broadcast(FLOAT, q[at + 5 * size + c]);
          s50 = k00.fma(q05, s50);
          FloatVector q06 = FloatVector.broadcast(FLOAT, q[at + 6 * size + c]);
          s60 = k00.fma(q06, s60);
          FloatVector q07 = FloatVector.broadcast(FLOAT, q[at + 7 * size + c]);
          s70 = k00.fma(q07, s70);
          FloatVector k10 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector q10 = FloatVector.broadcast(FLOAT, q[at + c + 1]);
          s00 = k10.fma(q10, s00);
          FloatVector q11 = FloatVector.broadcast(FLOAT, q[at + size + c + 1]);
          s10 = k10.fma(q11, s10);
          FloatVector q12 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 1]);
          s20 = k10.fma(q12, s20);
          FloatVector q13 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 1]);
          s30 = k10.fma(q13, s30);
          FloatVector q14 = FloatVector.broadcast(FLOAT, q[at + 4 * size + c + 1]);
          s40 = k10.fma(q14, s40);
          FloatVector q15 = FloatVector.broadcast(FLOAT, q[at + 5 * size + c + 1]);
          s50 = k10.fma(q15, s50);
          FloatVector q16 = FloatVector.broadcast(FLOAT, q[at + 6 * size + c + 1]);
          s60 = k10.fma(q16, s60);
          FloatVector q17 = FloatVector.broadcast(FLOAT, q[at + 7 * size + c + 1]);
          s70 = k10.fma(q17, s70);
          FloatVector k20 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector q20 = FloatVector.broadcast(FLOAT, q[at + c + 2]);
          s00 = k20.fma(q20, s00);
          FloatVector q21 = FloatVector.broadcast(FLOAT, q[at + size + c + 2]);
          s10 = k20.fma(q21, s10);
          FloatVector q22 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 2]);
          s20 = k20.fma(q22, s20);
          FloatVector q23 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 2]);
          s30 = k20.fma(q23, s30);
          FloatVector q24 = FloatVector.broadcast(FLOAT, q[at + 4 * size + c + 2]);
          s40 = k20.fma(q24, s40);
          FloatVector q25 = FloatVector.broadcast(FLOAT, q[at + 5 * size + c + 2]);
          s50 = k20.fma(q25, s50);
          FloatVector q26 = FloatVector.broadcast(FLOAT, q[at + 6 * size + c + 2]);
          s60 = k20.fma(q26, s60);
          FloatVector q27 = FloatVector.broadcast(FLOAT, q[at + 7 * size + c + 2]);
          s70 = k20.fma(q27, s70);
          FloatVector k30 = (FloatVector) x0.and(TOP).castShape(FLOAT, 0);
          FloatVector q30 = FloatVector.broadcast(FLOAT, q[at + c + 3]);
          s00 = k30.fma(q30, s00);
          FloatVector q31 = FloatVector.broadcast(FLOAT, q[at + size + c + 3]);
          s10 = k30.fma(q31, s10);
          FloatVector q32 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 3]);
          s20 = k30.fma(q32, s20);
          FloatVector q33 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 3]);
          s30 = k30.fma(q33, s30);
          FloatVector q34 = FloatVector.broadcast(FLOAT, q[at + 4 * size + c + 3]);
          s40 = k30.fma(q34, s40);
          FloatVector q35 = FloatVector.broadcast(FLOAT, q[at + 5 * size + c + 3]);
          s50 = k30.fma(q35, s50);
          FloatVector q36 = FloatVector.broadcast(FLOAT, q[at + 6 * size + c + 3]);
          s60 = k30.fma(q36, s60);
          FloatVector q37 = FloatVector.broadcast(FLOAT, q[at + 7 * size + c + 3]);
          s70 = k30.fma(q37, s70);
        }
        FloatVector a0 =
            FloatVector.fromArray(FLOAT, scales, scalePage + group / GROUP * PAGE_TOKENS + lane);
        t00 = s00.fma(a0, t00);
        t10 = s10.fma(a0, t10);
        t20 = s20.fma(a0, t20);
        t30 = s30.fma(a0, t30);
        t40 = s40.fma(a0, t40);
        t50 = s50.fma(a0, t50);
        t60 = s60.fma(a0, t60);
        t70 = s70.fma(a0, t70);
      }
      t00.intoArray(target, to + lane);
      t10.intoArray(target, to + lane + stride);
      t20.intoArray(target, to + lane + 2 * stride);
      t30.intoArray(target, to + lane + 3 * stride);
      t40.intoArray(target, to + lane + 4 * stride);
      t50.intoArray(target, to + lane + 5 * stride);
      t60.intoArray(target, to + lane + 6 * stride);
      t70.intoArray(target, to + lane + 7 * stride);
    }
  }

  /** Scores of page {@code page} and the next for 4 queries. */
  static void score4x2(
      int[] words,
      float[] scales,
      int page,
      float[] q,
      int at,
      int size,
      float[] target,
      int to,
      int stride) {
    int wordPage = page * pageWords(size);
    int scalePage = page * pageScales(size);
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector t00 = FloatVector.zero(FLOAT);
      FloatVector t01 = FloatVector.zero(FLOAT);
      FloatVector t10 = FloatVector.zero(FLOAT);
      FloatVector t11 = FloatVector.zero(FLOAT);
      FloatVector t20 = FloatVector.zero(FLOAT);
      FloatVector t21 = FloatVector.zero(FLOAT);
      FloatVector t30 = FloatVector.zero(FLOAT);
      FloatVector t31 = FloatVector.zero(FLOAT);
      for (int group = 0; group < size; group += GROUP) {
        FloatVector s00 = FloatVector.zero(FLOAT);
        FloatVector s01 = FloatVector.zero(FLOAT);
        FloatVector s10 = FloatVector.zero(FLOAT);
        FloatVector s11 = FloatVector.zero(FLOAT);
        FloatVector s20 = FloatVector.zero(FLOAT);
        FloatVector s21 = FloatVector.zero(FLOAT);
        FloatVector s30 = FloatVector.zero(FLOAT);
        FloatVector s31 = FloatVector.zero(FLOAT);
        int end = Math.min(size, group + GROUP);
        for (int c = group; c < end; c += 4) {
          IntVector x0 = IntVector.fromArray(INT, words, wordPage + c * 4 + lane);
          IntVector x1 = IntVector.fromArray(INT, words, wordPage + c * 4 + lane + pageWords(size));
          FloatVector k00 = (FloatVector) x0.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector k01 = (FloatVector) x1.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector q00 = FloatVector.broadcast(FLOAT, q[at + c]);
          s00 = k00.fma(q00, s00);
          s01 = k01.fma(q00, s01);
          FloatVector q01 = FloatVector.broadcast(FLOAT, q[at + size + c]);
          s10 = k00.fma(q01, s10);
          s11 = k01.fma(q01, s11);
          FloatVector q02 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c]);
          s20 = k00.fma(q02, s20);
          s21 = k01.fma(q02, s21);
          FloatVector q03 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c]);
          s30 = k00.fma(q03, s30);
          s31 = k01.fma(q03, s31);
          FloatVector k10 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector k11 =
              (FloatVector) x1.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector q10 = FloatVector.broadcast(FLOAT, q[at + c + 1]);
          s00 = k10.fma(q10, s00);
          s01 = k11.fma(q10, s01);
          FloatVector q11 = FloatVector.broadcast(FLOAT, q[at + size + c + 1]);
          s10 = k10.fma(q11, s10);
          s11 = k11.fma(q11, s11);
          FloatVector q12 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 1]);
          s20 = k10.fma(q12, s20);
          s21 = k11.fma(q12, s21);
          FloatVector q13 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 1]);
          s30 = k10.fma(q13, s30);
          s31 = k11.fma(q13, s31);
          FloatVector k20 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector k21 =
              (FloatVector) x1.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector q20 = FloatVector.broadcast(FLOAT, q[at + c + 2]);
          s00 = k20.fma(q20, s00);
          s01 = k21.fma(q20, s01);
          FloatVector q21 = FloatVector.broadcast(FLOAT, q[at + size + c + 2]);
          s10 = k20.fma(q21, s10);
          s11 = k21.fma(q21, s11);
          FloatVector q22 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 2]);
          s20 = k20.fma(q22, s20);
          s21 = k21.fma(q22, s21);
          FloatVector q23 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 2]);
          s30 = k20.fma(q23, s30);
          s31 = k21.fma(q23, s31);
          FloatVector k30 = (FloatVector) x0.and(TOP).castShape(FLOAT, 0);
          FloatVector k31 = (FloatVector) x1.and(TOP).castShape(FLOAT, 0);
          FloatVector q30 = FloatVector.broadcast(FLOAT, q[at + c + 3]);
          s00 = k30.fma(q30, s00);
          s01 = k31.fma(q30, s01);
          FloatVector q31 = FloatVector.broadcast(FLOAT, q[at + size + c + 3]);
          s10 = k30.fma(q31, s10);
          s11 = k31.fma(q31, s11);
          FloatVector q32 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 3]);
          s20 = k30.fma(q32, s20);
          s21 = k31.fma(q32, s21);
          FloatVector q33 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 3]);
          s30 = k30.fma(q33, s30);
          s31 = k31.fma(q33, s31);
        }
        FloatVector a0 =
            FloatVector.fromArray(FLOAT, scales, scalePage + group / GROUP * PAGE_TOKENS + lane);
        FloatVector a1 =
            FloatVector.fromArray(
                FLOAT, scales, scalePage + group / GROUP * PAGE_TOKENS + lane + pageScales(size));
        t00 = s00.fma(a0, t00);
        t01 = s01.fma(a1, t01);
        t10 = s10.fma(a0, t10);
        t11 = s11.fma(a1, t11);
        t20 = s20.fma(a0, t20);
        t21 = s21.fma(a1, t21);
        t30 = s30.fma(a0, t30);
        t31 = s31.fma(a1, t31);
      }
      t00.intoArray(target, to + lane);
      t01.intoArray(target, to + lane + PAGE_TOKENS);
      t10.intoArray(target, to + lane + stride);
      t11.intoArray(target, to + lane + stride + PAGE_TOKENS);
      t20.intoArray(target, to + lane + 2 * stride);
      t21.intoArray(target, to + lane + 2 * stride + PAGE_TOKENS);
      t30.intoArray(target, to + lane + 3 * stride);
      t31.intoArray(target, to + lane + 3 * stride + PAGE_TOKENS);
    }
  }

  /** Scores of a page for 4 queries. */
  static void score4x1(
      int[] words,
      float[] scales,
      int page,
      float[] q,
      int at,
      int size,
      float[] target,
      int to,
      int stride) {
    int wordPage = page * pageWords(size);
    int scalePage = page * pageScales(size);
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector t00 = FloatVector.zero(FLOAT);
      FloatVector t10 = FloatVector.zero(FLOAT);
      FloatVector t20 = FloatVector.zero(FLOAT);
      FloatVector t30 = FloatVector.zero(FLOAT);
      for (int group = 0; group < size; group += GROUP) {
        FloatVector s00 = FloatVector.zero(FLOAT);
        FloatVector s10 = FloatVector.zero(FLOAT);
        FloatVector s20 = FloatVector.zero(FLOAT);
        FloatVector s30 = FloatVector.zero(FLOAT);
        int end = Math.min(size, group + GROUP);
        for (int c = group; c < end; c += 4) {
          IntVector x0 = IntVector.fromArray(INT, words, wordPage + c * 4 + lane);
          FloatVector k00 = (FloatVector) x0.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector q00 = FloatVector.broadcast(FLOAT, q[at + c]);
          s00 = k00.fma(q00, s00);
          FloatVector q01 = FloatVector.broadcast(FLOAT, q[at + size + c]);
          s10 = k00.fma(q01, s10);
          FloatVector q02 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c]);
          s20 = k00.fma(q02, s20);
          FloatVector q03 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c]);
          s30 = k00.fma(q03, s30);
          FloatVector k10 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector q10 = FloatVector.broadcast(FLOAT, q[at + c + 1]);
          s00 = k10.fma(q10, s00);
          FloatVector q11 = FloatVector.broadcast(FLOAT, q[at + size + c + 1]);
          s10 = k10.fma(q11, s10);
          FloatVector q12 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 1]);
          s20 = k10.fma(q12, s20);
          FloatVector q13 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 1]);
          s30 = k10.fma(q13, s30);
          FloatVector k20 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector q20 = FloatVector.broadcast(FLOAT, q[at + c + 2]);
          s00 = k20.fma(q20, s00);
          FloatVector q21 = FloatVector.broadcast(FLOAT, q[at + size + c + 2]);
          s10 = k20.fma(q21, s10);
          FloatVector q22 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 2]);
          s20 = k20.fma(q22, s20);
          FloatVector q23 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 2]);
          s30 = k20.fma(q23, s30);
          FloatVector k30 = (FloatVector) x0.and(TOP).castShape(FLOAT, 0);
          FloatVector q30 = FloatVector.broadcast(FLOAT, q[at + c + 3]);
          s00 = k30.fma(q30, s00);
          FloatVector q31 = FloatVector.broadcast(FLOAT, q[at + size + c + 3]);
          s10 = k30.fma(q31, s10);
          FloatVector q32 = FloatVector.broadcast(FLOAT, q[at + 2 * size + c + 3]);
          s20 = k30.fma(q32, s20);
          FloatVector q33 = FloatVector.broadcast(FLOAT, q[at + 3 * size + c + 3]);
          s30 = k30.fma(q33, s30);
        }
        FloatVector a0 =
            FloatVector.fromArray(FLOAT, scales, scalePage + group / GROUP * PAGE_TOKENS + lane);
        t00 = s00.fma(a0, t00);
        t10 = s10.fma(a0, t10);
        t20 = s20.fma(a0, t20);
        t30 = s30.fma(a0, t30);
      }
      t00.intoArray(target, to + lane);
      t10.intoArray(target, to + lane + stride);
      t20.intoArray(target, to + lane + 2 * stride);
      t30.intoArray(target, to + lane + 3 * stride);
    }
  }

  /** Scores of four pages for 1 query. */
  static void score1x4(
      int[] words,
      float[] scales,
      int page,
      float[] q,
      int at,
      int size,
      float[] target,
      int to,
      int stride) {
    int wordPage = page * pageWords(size);
    int scalePage = page * pageScales(size);
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector t00 = FloatVector.zero(FLOAT);
      FloatVector t01 = FloatVector.zero(FLOAT);
      FloatVector t02 = FloatVector.zero(FLOAT);
      FloatVector t03 = FloatVector.zero(FLOAT);
      for (int group = 0; group < size; group += GROUP) {
        FloatVector s00 = FloatVector.zero(FLOAT);
        FloatVector s01 = FloatVector.zero(FLOAT);
        FloatVector s02 = FloatVector.zero(FLOAT);
        FloatVector s03 = FloatVector.zero(FLOAT);
        int end = Math.min(size, group + GROUP);
        for (int c = group; c < end; c += 4) {
          IntVector x0 = IntVector.fromArray(INT, words, wordPage + c * 4 + lane);
          IntVector x1 = IntVector.fromArray(INT, words, wordPage + c * 4 + lane + pageWords(size));
          IntVector x2 =
              IntVector.fromArray(INT, words, wordPage + c * 4 + lane + 2 * pageWords(size));
          IntVector x3 =
              IntVector.fromArray(INT, words, wordPage + c * 4 + lane + 3 * pageWords(size));
          FloatVector k00 = (FloatVector) x0.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector k01 = (FloatVector) x1.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector k02 = (FloatVector) x2.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector k03 = (FloatVector) x3.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector q00 = FloatVector.broadcast(FLOAT, q[at + c]);
          s00 = k00.fma(q00, s00);
          s01 = k01.fma(q00, s01);
          s02 = k02.fma(q00, s02);
          s03 = k03.fma(q00, s03);
          FloatVector k10 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector k11 =
              (FloatVector) x1.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector k12 =
              (FloatVector) x2.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector k13 =
              (FloatVector) x3.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector q10 = FloatVector.broadcast(FLOAT, q[at + c + 1]);
          s00 = k10.fma(q10, s00);
          s01 = k11.fma(q10, s01);
          s02 = k12.fma(q10, s02);
          s03 = k13.fma(q10, s03);
          FloatVector k20 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector k21 =
              (FloatVector) x1.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector k22 =
              (FloatVector) x2.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector k23 =
              (FloatVector) x3.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector q20 = FloatVector.broadcast(FLOAT, q[at + c + 2]);
          s00 = k20.fma(q20, s00);
          s01 = k21.fma(q20, s01);
          s02 = k22.fma(q20, s02);
          s03 = k23.fma(q20, s03);
          FloatVector k30 = (FloatVector) x0.and(TOP).castShape(FLOAT, 0);
          FloatVector k31 = (FloatVector) x1.and(TOP).castShape(FLOAT, 0);
          FloatVector k32 = (FloatVector) x2.and(TOP).castShape(FLOAT, 0);
          FloatVector k33 = (FloatVector) x3.and(TOP).castShape(FLOAT, 0);
          FloatVector q30 = FloatVector.broadcast(FLOAT, q[at + c + 3]);
          s00 = k30.fma(q30, s00);
          s01 = k31.fma(q30, s01);
          s02 = k32.fma(q30, s02);
          s03 = k33.fma(q30, s03);
        }
        FloatVector a0 =
            FloatVector.fromArray(FLOAT, scales, scalePage + group / GROUP * PAGE_TOKENS + lane);
        FloatVector a1 =
            FloatVector.fromArray(
                FLOAT, scales, scalePage + group / GROUP * PAGE_TOKENS + lane + pageScales(size));
        FloatVector a2 =
            FloatVector.fromArray(
                FLOAT,
                scales,
                scalePage + group / GROUP * PAGE_TOKENS + lane + 2 * pageScales(size));
        FloatVector a3 =
            FloatVector.fromArray(
                FLOAT,
                scales,
                scalePage + group / GROUP * PAGE_TOKENS + lane + 3 * pageScales(size));
        t00 = s00.fma(a0, t00);
        t01 = s01.fma(a1, t01);
        t02 = s02.fma(a2, t02);
        t03 = s03.fma(a3, t03);
      }
      t00.intoArray(target, to + lane);
      t01.intoArray(target, to + lane + PAGE_TOKENS);
      t02.intoArray(target, to + lane + 2 * PAGE_TOKENS);
      t03.intoArray(target, to + lane + 3 * PAGE_TOKENS);
    }
  }

  /** Scores of a page for 1 query. */
  static void score1x1(
      int[] words,
      float[] scales,
      int page,
      float[] q,
      int at,
      int size,
      float[] target,
      int to,
      int stride) {
    int wordPage = page * pageWords(size);
    int scalePage = page * pageScales(size);
    for (int lane = 0; lane < PAGE_TOKENS; lane += FLOATS) {
      FloatVector t00 = FloatVector.zero(FLOAT);
      for (int group = 0; group < size; group += GROUP) {
        FloatVector s00 = FloatVector.zero(FLOAT);
        int end = Math.min(size, group + GROUP);
        for (int c = group; c < end; c += 4) {
          IntVector x0 = IntVector.fromArray(INT, words, wordPage + c * 4 + lane);
          FloatVector k00 = (FloatVector) x0.lanewise(VectorOperators.LSHL, 24).castShape(FLOAT, 0);
          FloatVector q00 = FloatVector.broadcast(FLOAT, q[at + c]);
          s00 = k00.fma(q00, s00);
          FloatVector k10 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 16).and(TOP).castShape(FLOAT, 0);
          FloatVector q10 = FloatVector.broadcast(FLOAT, q[at + c + 1]);
          s00 = k10.fma(q10, s00);
          FloatVector k20 =
              (FloatVector) x0.lanewise(VectorOperators.LSHL, 8).and(TOP).castShape(FLOAT, 0);
          FloatVector q20 = FloatVector.broadcast(FLOAT, q[at + c + 2]);
          s00 = k20.fma(q20, s00);
          FloatVector k30 = (FloatVector) x0.and(TOP).castShape(FLOAT, 0);
          FloatVector q30 = FloatVector.broadcast(FLOAT, q[at + c + 3]);
          s00 = k30.fma(q30, s00);
        }
        FloatVector a0 =
            FloatVector.fromArray(FLOAT, scales, scalePage + group / GROUP * PAGE_TOKENS + lane);
        t00 = s00.fma(a0, t00);
      }
      t00.intoArray(target, to + lane);
    }
  }
}
