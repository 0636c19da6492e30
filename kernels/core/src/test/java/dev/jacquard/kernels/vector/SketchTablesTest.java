package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.memory.GuardPages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rounded tables of bit sums, and the scan that looks them up. */
class SketchTablesTest {
  /** How far table rounding moves scores in the scenes of the contract, relative to 1 + score. */
  static final double SCORE_ERROR = 0.05;

  private static SketchBasis basis(Random random, int size, int maxBits) {
    int left = QuantizedKv.sketchBits(size);
    byte[] bits = new byte[size];
    int channels = 0;
    while (channels < size && left > 0) {
      bits[channels] = (byte) Math.min(left, 1 + random.nextInt(maxBits));
      left -= bits[channels++];
    }
    float[] mean = gaussian(random, size);
    float[] toKey = gaussian(random, channels * size);
    float[] toQuery = gaussian(random, channels * size);
    float[] step = new float[channels];
    for (int c = 0; c < channels; c++) {
      step[c] = 0.1f + random.nextFloat();
    }
    return new SketchBasis(mean, toKey, toQuery, Arrays.copyOf(bits, channels), step, 1);
  }

  private static float[] gaussian(Random random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  @ParameterizedTest
  @CsvSource({
    "256, 4, 7, false",
    "64, 8, 3, false",
    "37, 5, 1, false",
    "8, 1, 2, false",
    "80, 3, 4, false",
    "256, 4, 1, true",
    "64, 4, 3, true",
    "37, 4, 2, true",
    "80, 3, 4, true"
  })
  void scoresAreWithinTheBound(int size, int queries, int maxBits, boolean together) {
    Random random = new Random(size);
    SketchBasis basis = basis(random, size, maxBits);
    int bytes = QuantizedKv.sketchBytes(size);
    float scale = 0.11f;
    float[] query = gaussian(random, queries * size);
    SketchTables tables = new SketchTables();
    tables.reserve(queries, size);
    SketchTables.Scratch scratch = new SketchTables.Scratch();
    if (together) {
      tables.build(queries, basis, query, scale, scratch);
    } else {
      for (int i = 0; i < queries; i++) {
        tables.balance(i, 1, basis, query, i * size, 0, basis.channels(), scratch);
        tables.buildBalanced(i, basis, query, i * size, scale, scratch);
      }
    }
    byte[] sketches = new byte[bytes * SketchScan.TOKENS];
    random.nextBytes(sketches);
    short[] sums = new short[queries * SketchScan.TOKENS];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = GuardPages.allocate(arena, sketches.length);
      MemorySegment.copy(sketches, 0, memory, ValueLayout.JAVA_BYTE, 0, sketches.length);
      scan(memory, bytes, tables, queries, sums);
    }
    for (int i = 0; i < queries; i++) {
      for (int token = 0; token < SketchScan.TOKENS; token++) {
        double exact = score(basis, query, i * size, scale, sketches, token);
        double found =
            tables.base(i) + (double) tables.step(i) * sums[i * SketchScan.TOKENS + token];
        double bound = tables.step(i) * bytes + 1e-5 * (1 + Math.abs(exact));
        assertTrue(Math.abs(found - exact) <= bound, found + " for " + exact + " ± " + bound);
        assertTrue(sums[i * SketchScan.TOKENS + token] < tables.sums());
      }
    }
  }

  private static void scan(
      MemorySegment memory, int bytes, SketchTables tables, int queries, short[] sums) {
    int i = 0;
    for (; i + 4 <= queries; i += 4) {
      SketchScan.scan4(
          memory,
          0,
          bytes,
          tables.tables(),
          i * (long) tables.stride(),
          tables.stride(),
          sums,
          i * SketchScan.TOKENS,
          SketchScan.TOKENS);
    }
    for (; i < queries; i++) {
      SketchScan.scan1(
          memory,
          0,
          bytes,
          tables.tables(),
          i * (long) tables.stride(),
          sums,
          i * SketchScan.TOKENS);
    }
  }

  /** The specification's formula, in double. */
  private static double score(
      SketchBasis basis, float[] query, int at, float scale, byte[] sketches, int token) {
    double sum = 0;
    for (int d = 0; d < basis.size(); d++) {
      sum += (double) query[at + d] * basis.mean()[d];
    }
    int bit = 0;
    for (int c = 0; c < basis.channels(); c++) {
      double turned = 0;
      for (int d = 0; d < basis.size(); d++) {
        turned += (double) query[at + d] * basis.toQuery()[c * basis.size() + d];
      }
      int code = 0;
      for (int j = 0; j < basis.bits()[c]; j++, bit++) {
        code |= (sketches[bit / 8 * SketchScan.TOKENS + token] >> bit % 8 & 1) << j;
      }
      sum += turned * (code - (1 << (basis.bits()[c] - 1)) + 0.5) * basis.step()[c];
    }
    return scale * sum;
  }

  @Test
  void aQueryThatIsNotFiniteHasNoScore() {
    SketchBasis basis = basis(new Random(3), 16, 2);
    float[] query = new float[16];
    query[5] = Float.POSITIVE_INFINITY;
    SketchTables tables = new SketchTables();
    tables.reserve(1, 16);
    tables.build(1, basis, query, 1, new SketchTables.Scratch());
    assertTrue(Float.isNaN(tables.base(0)) && Float.isNaN(tables.step(0)));
    Arrays.fill(query, 0);
    tables.build(1, basis, query, 1, new SketchTables.Scratch());
    assertEquals(0, tables.base(0));
    assertEquals(0, tables.step(0));
  }
}
