package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;

class VectorMathTest {
  private static final float[] SPECIAL = {
    0f,
    -0f,
    1,
    -1,
    88.7228f,
    88.72283f,
    88.73f,
    1000,
    -87.33f,
    -87.34f,
    -104,
    -1000,
    Float.MIN_VALUE,
    -Float.MIN_VALUE,
    Float.MAX_VALUE,
    -Float.MAX_VALUE,
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    Float.NaN,
    Float.intBitsToFloat(0x7f812345),
    Float.intBitsToFloat(0xffabcdef)
  };

  /** Replaces all values of an array. */
  private interface Function {
    void apply(float[] x);
  }

  private static final Function EXP = x -> VectorMath.exp(x, 0, x.length);
  private static final Function TANH = x -> VectorMath.cap(x, 0, x.length, 1);
  private static final Function SILU =
      x -> VectorMath.gateSilu(x, 0, ones(x.length), 0, x.length, new float[x.length], 0);
  private static final Function GELU =
      x -> VectorMath.gateGelu(x, 0, ones(x.length), 0, x.length, new float[x.length], 0);

  private static float[] ones(int count) {
    float[] ones = new float[count];
    Arrays.fill(ones, 1);
    return ones;
  }

  private static float[] apply(Function f, float[] x) {
    float[] y = x.clone();
    f.apply(y);
    return y;
  }

  private static float[] uniform(float low, float high, int count) {
    Random random = new Random(7);
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = low + random.nextFloat() * (high - low);
    }
    return x;
  }

  @Test
  void expIsWithinTwoUnitsInTheLastPlace() {
    float[] x = uniform(-87.33f, 88.72f, 2_000_000);
    float[] y = apply(EXP, x);
    double worst = 0;
    for (int i = 0; i < x.length; i++) {
      double exact = StrictMath.exp(x[i]);
      worst = Math.max(worst, Math.abs(y[i] - exact) / Math.ulp((float) exact));
    }
    assertTrue(worst < 2, "error of " + worst + " ulp");
  }

  @Test
  void expTreatsSpecialValuesAsItSays() {
    float[] y = apply(EXP, SPECIAL);
    for (int i = 0; i < SPECIAL.length; i++) {
      float x = SPECIAL[i];
      if (Float.isNaN(x)) {
        assertTrue(Float.isNaN(y[i]), "exp of NaN is " + y[i]);
      } else if (x < -87.33f) {
        assertEquals(0f, y[i], "exp " + x);
      } else if (x > 88.7228f) {
        assertEquals(Float.POSITIVE_INFINITY, y[i], "exp " + x);
      } else {
        assertEquals(Math.exp(x), y[i], 2 * Math.ulp((float) Math.exp(x)), "exp " + x);
      }
    }
  }

  @Test
  void scalarExpHasTheSameBits() {
    float[] x = uniform(-90, 90, 200_000);
    System.arraycopy(SPECIAL, 0, x, 0, SPECIAL.length);
    float[] y = apply(EXP, x);
    for (int i = 0; i < x.length; i++) {
      assertEquals(
          Float.floatToIntBits(y[i]), Float.floatToIntBits(VectorMath.exp(x[i])), "" + x[i]);
    }
  }

  @Test
  void aCapDoesNotHideWhatIsNotFinite() {
    float[] x = {Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, Float.NaN, -3e38f, 3e38f};
    assertArrayEquals(new float[] {Float.NaN, Float.NaN, Float.NaN, -1, 1}, apply(TANH, x));
  }

  private static void assertError(
      Function f, DoubleUnaryOperator exact, float range, double bound, double floor) {
    float[] x = uniform(-range, range, 1_000_000);
    float[] y = apply(f, x);
    double worst = 0;
    float at = 0;
    for (int i = 0; i < x.length; i++) {
      double e = exact.applyAsDouble(x[i]);
      double error = Math.abs(y[i] - e) / Math.max(Math.abs(e), floor);
      if (error > worst) {
        worst = error;
        at = x[i];
      }
    }
    assertTrue(worst < bound, "error " + worst + " at " + at);
  }

  @Test
  void activationsKeepTheirBounds() {
    assertError(TANH, Math::tanh, 10, 3e-7, 1);
    assertError(SILU, x -> x / (1 + Math.exp(-x)), 80, 4e-7, 0);
    DoubleUnaryOperator gelu =
        x -> 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
    assertError(GELU, gelu, 6, 1e-6, 0.1);
    assertError(GELU, gelu, 1000, 1e-6, 0.1);
  }

  @Test
  void activationsPassNaNAndGoToTheirLimits() {
    float[] x = {Float.NaN, 1e30f, -1e30f, 200, -200, 0};
    for (Function f : List.of(SILU, GELU)) {
      float[] y = apply(f, x);
      assertTrue(Float.isNaN(y[0]));
      assertEquals(1e30f, y[1]);
      assertEquals(0f, y[2], 0f);
      assertEquals(200f, y[3]);
      assertEquals(0f, y[4], 1e-30f);
      assertEquals(0f, y[5]);
    }
  }

  @Test
  void dotIsThePlainSumForEveryLength() {
    float[] a = uniform(-1, 1, 200);
    float[] b = uniform(-1, 3, 200);
    float[] chains = new float[VectorMath.CHAINS];
    for (int count = 0; count <= 150; count++) {
      double exact = 0;
      for (int i = 0; i < count; i++) {
        exact += (double) a[3 + i] * b[5 + i];
      }
      assertEquals(exact, VectorMath.dot(a, 3, b, 5, count, chains), 2e-5, count + " values");
    }
  }
}
