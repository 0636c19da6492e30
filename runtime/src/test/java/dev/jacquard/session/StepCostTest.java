package dev.jacquard.session;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.jacquard.architecture.Architectures;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.Weight;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import dev.jacquard.testing.TestData;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class StepCostTest {
  /** One matrix of 24 to 32 values as queries, keys, values and results of three layers. */
  private static Program program(List<KvSpec.Layer> layers) {
    Slot x = new Slot("x", 32, Domain.ALL);
    Tensor tensor =
        new Tensor(F32.INSTANCE, Shape.of(32, 32), Arena.ofAuto().allocate(4L * 32 * 32));
    Weight matrix = new Weight("matrix", tensor);
    List<Op> ops = new ArrayList<>();
    ops.add(new Op.Embed(matrix, 1, x));
    for (int i = 0; i < layers.size(); i++) {
      KvSpec.Layer layer = layers.get(i);
      Slot query = new Slot("query" + i, 4 * layer.keySize(), Domain.ALL);
      Slot key = new Slot("key" + i, layer.heads() * layer.keySize(), Domain.ALL);
      Slot value = new Slot("value" + i, layer.heads() * layer.valueSize(), Domain.ALL);
      Slot out = new Slot("out" + i, 4 * layer.valueSize(), Domain.ALL);
      for (Slot slot : List.of(query, key, value)) {
        Tensor part =
            new Tensor(
                F32.INSTANCE,
                Shape.of(32, slot.width()),
                Arena.ofAuto().allocate(4L * 32 * slot.width()));
        Weight weight = new Weight(slot.name(), part);
        ops.add(new Op.MatMul(x, List.of(new Op.Projection(new Op.Linear(weight, null), slot))));
      }
      ops.add(new Op.WriteKv(i, key, value));
      ops.add(new Op.Attention(i, query, out, 4, 1, layer.window(), 0, null));
    }
    return new Program(
        ops, new KvSpec(layers), new Slot("out0", 4 * layers.getFirst().valueSize(), Domain.ALL));
  }

  @Test
  void countsVisibleTokensOfEachGroup() {
    KvSpec.Layer full = new KvSpec.Layer(2, 8, 4, 0); // 24 values
    KvSpec.Layer window = new KvSpec.Layer(1, 8, 8, 10); // 16 values
    StepCost cost = StepCost.of(1000, program(List.of(window, full, window)), KvFormat.F16);
    assertEquals(1000 + 1 * 2 * (24 + 32), cost.bytesAt(0));
    assertEquals(1000 + 10 * 2 * (24 + 32), cost.bytesAt(9));
    assertEquals(1000 + 2 * (100 * 24 + 10 * 32), cost.bytesAt(99));
    long projections = 32 * (2 * (32 + 8 + 8) + 32 + 16 + 8);
    assertEquals(projections + 4 * (16 + 12 + 16), cost.multiplyAddsAt(0));
    assertEquals(projections + 4 * (10 * 16 + 100 * 12 + 10 * 16), cost.multiplyAddsAt(99));
  }

  /**
   * Every weight of a matrix is multiplied once; the embedding is only looked up, but for logits.
   */
  @Test
  void aModelMultipliesEachWeightOnce() {
    try (GgufFile file = GgufFile.open(TestData.resource("architectures/llama.gguf"))) {
      Program program = Architectures.byName("llama").orElseThrow().program(file);
      long matrices =
          file.tensors().stream()
              .filter(t -> t.shape().sizes().size() > 1 && !t.name().startsWith("token_embd"))
              .mapToLong(t -> t.shape().elements())
              .sum();
      long attention =
          program.ops().stream()
              .mapToLong(op -> op instanceof Op.Attention a ? 2L * a.query().width() : 0)
              .sum();
      assertEquals(matrices + attention, StepCost.of(0, program, KvFormat.F16).multiplyAddsAt(0));
    }
  }
}
