package dev.jacquard.pruning;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class AllocationTest {
  private static double[] scores(int neurons, double scale, long seed) {
    return new Random(seed).doubles(neurons).map(x -> scale * x * x).toArray();
  }

  @Test
  void allLayersKeepTheirBestNeuronsInWholeBlocks() {
    double[] layer = scores(128, 1, 1);
    List<int[]> kept = Allocation.uniform(List.of(layer, scores(128, 50, 2)), 0.3, 32);
    assertEquals(96, kept.get(0).length); // 89.6 is nearest to three blocks
    assertEquals(96, kept.get(1).length);
    double least = Arrays.stream(kept.get(0)).mapToDouble(i -> layer[i]).min().orElseThrow();
    double[] sorted = layer.clone();
    Arrays.sort(sorted);
    assertEquals(sorted[32], least);
    assertArrayEquals(Arrays.stream(kept.get(0)).sorted().toArray(), kept.get(0));
  }

  @Test
  void ofEqualScoresTheLowerNumbersStay() {
    assertArrayEquals(
        IntStream.range(0, 32).toArray(),
        Allocation.uniform(List.of(new double[64]), 0.5, 32).getFirst());
  }

  @Test
  void aLayerHalfOfWhoseNeuronsCountLittleLosesMore() {
    double[] flat = new Random(3).doubles(512).map(x -> 1 + x).toArray();
    double[] half = new double[512];
    Arrays.setAll(half, i -> 1 + 1e-6 * i);
    Arrays.fill(half, 0, 256, 10);
    List<int[]> kept = Allocation.global(List.of(flat, half), 0.3, 32);
    int total = kept.get(0).length + kept.get(1).length;
    assertEquals(0.7 * 1024, total, 64);
    assertTrue(kept.get(1).length < kept.get(0).length, "of those that count little");
    for (int[] layer : kept) {
      assertEquals(0, layer.length % 32);
    }
  }

  @Test
  void aShareBelowHalfABlockIsRefused() {
    List<double[]> scores = List.of(scores(64, 1, 1));
    PruningException e =
        assertThrows(PruningException.class, () -> Allocation.uniform(scores, 0.1, 32));
    assertTrue(String.valueOf(e.getMessage()).contains("larger share"), e.toString());
  }
}
