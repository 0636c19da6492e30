package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import java.util.List;
import org.junit.jupiter.api.Test;

final class StepCostTest {
  @Test
  void countsVisibleTokensOfEachGroup() {
    KvSpec.Layer full = new KvSpec.Layer(2, 8, 4, 0); // 24 values
    KvSpec.Layer window = new KvSpec.Layer(1, 8, 8, 10); // 16 values
    StepCost cost = StepCost.of(1000, new KvSpec(List.of(window, full, window)), KvFormat.F16);
    assertEquals(1000 + 1 * 2 * (24 + 32), cost.bytesAt(0));
    assertEquals(1000 + 10 * 2 * (24 + 32), cost.bytesAt(9));
    assertEquals(1000 + 2 * (100 * 24 + 10 * 32), cost.bytesAt(99));
  }
}
