package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.vector.Activations.PANEL;
import static dev.jacquard.kernels.vector.Lanes.FLOAT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;
import static dev.jacquard.kernels.vector.PackedMatrix.TILE;

import jdk.incubator.vector.FloatVector;

/**
 * Products of an expanded panel of weights with panels of activations, held in registers: one
 * accumulator per row of activations and vector of outputs, one fused multiply-add per column.
 *
 * <p>With 32 vector registers (512 bits) 12 rows × 2 vectors reach the ceiling of the multiply-add
 * units; with 16 registers 4 × 2 do. The compiler gives up on larger bodies, so these are written
 * out and not generic.
 */
final class RegisterTile {
  /** Most panels of activations at a time. */
  static final int MAX_PANELS = FLOATS == 16 ? 3 : 1;

  private RegisterTile() {}

  /**
   * {@code sums[r·TILE + i] += Σ_k a[r][k]·panel[k·TILE + i]}, k ascending.
   *
   * @param panels number of panels of activations, 1 to {@link #MAX_PANELS}
   * @param a panels of activations, the first at {@code offset}, the next {@code stride} further
   */
  static void multiply(
      float[] panel, int count, float[] a, int offset, int stride, int panels, float[] sums) {
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      switch (panels) {
        case 1 -> rows4(panel, lane, count, a, offset, sums, lane);
        case 2 -> rows8(panel, lane, count, a, offset, offset + stride, sums, lane);
        default ->
            rows12(panel, lane, count, a, offset, offset + stride, offset + 2 * stride, sums, lane);
      }
    }
  }

  /** {@code sums[i] += Σ_k a[offset + k]·panel[k·TILE + i]}, k ascending. */
  static void multiplyRow(float[] panel, int count, float[] a, int offset, float[] sums) {
    for (int lane = 0; lane < TILE; lane += 2 * FLOATS) {
      row(panel, lane, count, a, offset, sums);
    }
  }

  private static void row(float[] panel, int lane, int count, float[] a, int offset, float[] sums) {
    FloatVector sa = FloatVector.fromArray(FLOAT, sums, lane);
    FloatVector sb = FloatVector.fromArray(FLOAT, sums, lane + FLOATS);
    int b = lane;
    for (int k = 0; k < count; k++) {
      FloatVector x = FloatVector.broadcast(FLOAT, a[offset + k]);
      sa = FloatVector.fromArray(FLOAT, panel, b).fma(x, sa);
      sb = FloatVector.fromArray(FLOAT, panel, b + FLOATS).fma(x, sb);
      b += TILE;
    }
    sa.intoArray(sums, lane);
    sb.intoArray(sums, lane + FLOATS);
  }

  private static void rows4(
      float[] panel, int lane, int count, float[] a, int a0, float[] sums, int at) {
    FloatVector s0a = FloatVector.fromArray(FLOAT, sums, at);
    FloatVector s0b = FloatVector.fromArray(FLOAT, sums, at + FLOATS);
    FloatVector s1a = FloatVector.fromArray(FLOAT, sums, at + TILE);
    FloatVector s1b = FloatVector.fromArray(FLOAT, sums, at + TILE + FLOATS);
    FloatVector s2a = FloatVector.fromArray(FLOAT, sums, at + 2 * TILE);
    FloatVector s2b = FloatVector.fromArray(FLOAT, sums, at + 2 * TILE + FLOATS);
    FloatVector s3a = FloatVector.fromArray(FLOAT, sums, at + 3 * TILE);
    FloatVector s3b = FloatVector.fromArray(FLOAT, sums, at + 3 * TILE + FLOATS);
    int b = lane;
    for (int k = 0; k < count; k++) {
      FloatVector wa = FloatVector.fromArray(FLOAT, panel, b);
      FloatVector wb = FloatVector.fromArray(FLOAT, panel, b + FLOATS);
      FloatVector x = FloatVector.broadcast(FLOAT, a[a0]);
      s0a = wa.fma(x, s0a);
      s0b = wb.fma(x, s0b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 1]);
      s1a = wa.fma(x, s1a);
      s1b = wb.fma(x, s1b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 2]);
      s2a = wa.fma(x, s2a);
      s2b = wb.fma(x, s2b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 3]);
      s3a = wa.fma(x, s3a);
      s3b = wb.fma(x, s3b);
      a0 += PANEL;
      b += TILE;
    }
    s0a.intoArray(sums, at);
    s0b.intoArray(sums, at + FLOATS);
    s1a.intoArray(sums, at + TILE);
    s1b.intoArray(sums, at + TILE + FLOATS);
    s2a.intoArray(sums, at + 2 * TILE);
    s2b.intoArray(sums, at + 2 * TILE + FLOATS);
    s3a.intoArray(sums, at + 3 * TILE);
    s3b.intoArray(sums, at + 3 * TILE + FLOATS);
  }

  private static void rows8(
      float[] panel, int lane, int count, float[] a, int a0, int a1, float[] sums, int at) {
    FloatVector s0a = FloatVector.fromArray(FLOAT, sums, at);
    FloatVector s0b = FloatVector.fromArray(FLOAT, sums, at + FLOATS);
    FloatVector s1a = FloatVector.fromArray(FLOAT, sums, at + TILE);
    FloatVector s1b = FloatVector.fromArray(FLOAT, sums, at + TILE + FLOATS);
    FloatVector s2a = FloatVector.fromArray(FLOAT, sums, at + 2 * TILE);
    FloatVector s2b = FloatVector.fromArray(FLOAT, sums, at + 2 * TILE + FLOATS);
    FloatVector s3a = FloatVector.fromArray(FLOAT, sums, at + 3 * TILE);
    FloatVector s3b = FloatVector.fromArray(FLOAT, sums, at + 3 * TILE + FLOATS);
    FloatVector s4a = FloatVector.fromArray(FLOAT, sums, at + 4 * TILE);
    FloatVector s4b = FloatVector.fromArray(FLOAT, sums, at + 4 * TILE + FLOATS);
    FloatVector s5a = FloatVector.fromArray(FLOAT, sums, at + 5 * TILE);
    FloatVector s5b = FloatVector.fromArray(FLOAT, sums, at + 5 * TILE + FLOATS);
    FloatVector s6a = FloatVector.fromArray(FLOAT, sums, at + 6 * TILE);
    FloatVector s6b = FloatVector.fromArray(FLOAT, sums, at + 6 * TILE + FLOATS);
    FloatVector s7a = FloatVector.fromArray(FLOAT, sums, at + 7 * TILE);
    FloatVector s7b = FloatVector.fromArray(FLOAT, sums, at + 7 * TILE + FLOATS);
    int b = lane;
    for (int k = 0; k < count; k++) {
      FloatVector wa = FloatVector.fromArray(FLOAT, panel, b);
      FloatVector wb = FloatVector.fromArray(FLOAT, panel, b + FLOATS);
      FloatVector x = FloatVector.broadcast(FLOAT, a[a0]);
      s0a = wa.fma(x, s0a);
      s0b = wb.fma(x, s0b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 1]);
      s1a = wa.fma(x, s1a);
      s1b = wb.fma(x, s1b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 2]);
      s2a = wa.fma(x, s2a);
      s2b = wb.fma(x, s2b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 3]);
      s3a = wa.fma(x, s3a);
      s3b = wb.fma(x, s3b);
      x = FloatVector.broadcast(FLOAT, a[a1]);
      s4a = wa.fma(x, s4a);
      s4b = wb.fma(x, s4b);
      x = FloatVector.broadcast(FLOAT, a[a1 + 1]);
      s5a = wa.fma(x, s5a);
      s5b = wb.fma(x, s5b);
      x = FloatVector.broadcast(FLOAT, a[a1 + 2]);
      s6a = wa.fma(x, s6a);
      s6b = wb.fma(x, s6b);
      x = FloatVector.broadcast(FLOAT, a[a1 + 3]);
      s7a = wa.fma(x, s7a);
      s7b = wb.fma(x, s7b);
      a0 += PANEL;
      a1 += PANEL;
      b += TILE;
    }
    s0a.intoArray(sums, at);
    s0b.intoArray(sums, at + FLOATS);
    s1a.intoArray(sums, at + TILE);
    s1b.intoArray(sums, at + TILE + FLOATS);
    s2a.intoArray(sums, at + 2 * TILE);
    s2b.intoArray(sums, at + 2 * TILE + FLOATS);
    s3a.intoArray(sums, at + 3 * TILE);
    s3b.intoArray(sums, at + 3 * TILE + FLOATS);
    s4a.intoArray(sums, at + 4 * TILE);
    s4b.intoArray(sums, at + 4 * TILE + FLOATS);
    s5a.intoArray(sums, at + 5 * TILE);
    s5b.intoArray(sums, at + 5 * TILE + FLOATS);
    s6a.intoArray(sums, at + 6 * TILE);
    s6b.intoArray(sums, at + 6 * TILE + FLOATS);
    s7a.intoArray(sums, at + 7 * TILE);
    s7b.intoArray(sums, at + 7 * TILE + FLOATS);
  }

  private static void rows12(
      float[] panel, int lane, int count, float[] a, int a0, int a1, int a2, float[] sums, int at) {
    FloatVector s0a = FloatVector.fromArray(FLOAT, sums, at);
    FloatVector s0b = FloatVector.fromArray(FLOAT, sums, at + FLOATS);
    FloatVector s1a = FloatVector.fromArray(FLOAT, sums, at + TILE);
    FloatVector s1b = FloatVector.fromArray(FLOAT, sums, at + TILE + FLOATS);
    FloatVector s2a = FloatVector.fromArray(FLOAT, sums, at + 2 * TILE);
    FloatVector s2b = FloatVector.fromArray(FLOAT, sums, at + 2 * TILE + FLOATS);
    FloatVector s3a = FloatVector.fromArray(FLOAT, sums, at + 3 * TILE);
    FloatVector s3b = FloatVector.fromArray(FLOAT, sums, at + 3 * TILE + FLOATS);
    FloatVector s4a = FloatVector.fromArray(FLOAT, sums, at + 4 * TILE);
    FloatVector s4b = FloatVector.fromArray(FLOAT, sums, at + 4 * TILE + FLOATS);
    FloatVector s5a = FloatVector.fromArray(FLOAT, sums, at + 5 * TILE);
    FloatVector s5b = FloatVector.fromArray(FLOAT, sums, at + 5 * TILE + FLOATS);
    FloatVector s6a = FloatVector.fromArray(FLOAT, sums, at + 6 * TILE);
    FloatVector s6b = FloatVector.fromArray(FLOAT, sums, at + 6 * TILE + FLOATS);
    FloatVector s7a = FloatVector.fromArray(FLOAT, sums, at + 7 * TILE);
    FloatVector s7b = FloatVector.fromArray(FLOAT, sums, at + 7 * TILE + FLOATS);
    FloatVector s8a = FloatVector.fromArray(FLOAT, sums, at + 8 * TILE);
    FloatVector s8b = FloatVector.fromArray(FLOAT, sums, at + 8 * TILE + FLOATS);
    FloatVector s9a = FloatVector.fromArray(FLOAT, sums, at + 9 * TILE);
    FloatVector s9b = FloatVector.fromArray(FLOAT, sums, at + 9 * TILE + FLOATS);
    FloatVector s10a = FloatVector.fromArray(FLOAT, sums, at + 10 * TILE);
    FloatVector s10b = FloatVector.fromArray(FLOAT, sums, at + 10 * TILE + FLOATS);
    FloatVector s11a = FloatVector.fromArray(FLOAT, sums, at + 11 * TILE);
    FloatVector s11b = FloatVector.fromArray(FLOAT, sums, at + 11 * TILE + FLOATS);
    int b = lane;
    for (int k = 0; k < count; k++) {
      FloatVector wa = FloatVector.fromArray(FLOAT, panel, b);
      FloatVector wb = FloatVector.fromArray(FLOAT, panel, b + FLOATS);
      FloatVector x = FloatVector.broadcast(FLOAT, a[a0]);
      s0a = wa.fma(x, s0a);
      s0b = wb.fma(x, s0b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 1]);
      s1a = wa.fma(x, s1a);
      s1b = wb.fma(x, s1b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 2]);
      s2a = wa.fma(x, s2a);
      s2b = wb.fma(x, s2b);
      x = FloatVector.broadcast(FLOAT, a[a0 + 3]);
      s3a = wa.fma(x, s3a);
      s3b = wb.fma(x, s3b);
      x = FloatVector.broadcast(FLOAT, a[a1]);
      s4a = wa.fma(x, s4a);
      s4b = wb.fma(x, s4b);
      x = FloatVector.broadcast(FLOAT, a[a1 + 1]);
      s5a = wa.fma(x, s5a);
      s5b = wb.fma(x, s5b);
      x = FloatVector.broadcast(FLOAT, a[a1 + 2]);
      s6a = wa.fma(x, s6a);
      s6b = wb.fma(x, s6b);
      x = FloatVector.broadcast(FLOAT, a[a1 + 3]);
      s7a = wa.fma(x, s7a);
      s7b = wb.fma(x, s7b);
      x = FloatVector.broadcast(FLOAT, a[a2]);
      s8a = wa.fma(x, s8a);
      s8b = wb.fma(x, s8b);
      x = FloatVector.broadcast(FLOAT, a[a2 + 1]);
      s9a = wa.fma(x, s9a);
      s9b = wb.fma(x, s9b);
      x = FloatVector.broadcast(FLOAT, a[a2 + 2]);
      s10a = wa.fma(x, s10a);
      s10b = wb.fma(x, s10b);
      x = FloatVector.broadcast(FLOAT, a[a2 + 3]);
      s11a = wa.fma(x, s11a);
      s11b = wb.fma(x, s11b);
      a0 += PANEL;
      a1 += PANEL;
      a2 += PANEL;
      b += TILE;
    }
    s0a.intoArray(sums, at);
    s0b.intoArray(sums, at + FLOATS);
    s1a.intoArray(sums, at + TILE);
    s1b.intoArray(sums, at + TILE + FLOATS);
    s2a.intoArray(sums, at + 2 * TILE);
    s2b.intoArray(sums, at + 2 * TILE + FLOATS);
    s3a.intoArray(sums, at + 3 * TILE);
    s3b.intoArray(sums, at + 3 * TILE + FLOATS);
    s4a.intoArray(sums, at + 4 * TILE);
    s4b.intoArray(sums, at + 4 * TILE + FLOATS);
    s5a.intoArray(sums, at + 5 * TILE);
    s5b.intoArray(sums, at + 5 * TILE + FLOATS);
    s6a.intoArray(sums, at + 6 * TILE);
    s6b.intoArray(sums, at + 6 * TILE + FLOATS);
    s7a.intoArray(sums, at + 7 * TILE);
    s7b.intoArray(sums, at + 7 * TILE + FLOATS);
    s8a.intoArray(sums, at + 8 * TILE);
    s8b.intoArray(sums, at + 8 * TILE + FLOATS);
    s9a.intoArray(sums, at + 9 * TILE);
    s9b.intoArray(sums, at + 9 * TILE + FLOATS);
    s10a.intoArray(sums, at + 10 * TILE);
    s10b.intoArray(sums, at + 10 * TILE + FLOATS);
    s11a.intoArray(sums, at + 11 * TILE);
    s11b.intoArray(sums, at + 11 * TILE + FLOATS);
  }
}
