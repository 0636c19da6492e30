package dev.jacquard.quantization;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.Tensor;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A program with other numbers in some of its weights. */
record ReplacedWeights(Map<String, Tensor> tensors) {
  /** The program with the tensors given by the names of the weights. */
  Program in(Program program) {
    return new Program(
        program.ops().stream().map(this::in).toList(), program.kv(), program.logits());
  }

  private Op in(Op op) {
    return switch (op) {
      case Op.Embed o -> new Op.Embed(in(o.table()), o.scale(), o.out());
      case Op.RmsNorm o -> new Op.RmsNorm(o.in(), in(o.weight()), o.epsilon(), o.out());
      case Op.MatMul o ->
          new Op.MatMul(
              o.in(),
              o.projections().stream()
                  .map(p -> new Op.Projection(in(p.linear()), p.out()))
                  .toList());
      case Op.FeedForward o ->
          new Op.FeedForward(
              o.layer(),
              o.in(),
              in(o.gate()),
              in(o.up()),
              in(o.down()),
              o.activation(),
              o.hidden(),
              o.out());
      case Op.Head o -> new Op.Head(o.in(), in(o.output()), o.out());
      case Op.Rope _, Op.WriteKv _, Op.SelectPages _, Op.Attention _ -> op;
      case Op.Add _, Op.SelectRows _ -> op;
    };
  }

  private Op.Linear in(Op.Linear linear) {
    Weight bias = linear.bias();
    return new Op.Linear(in(linear.weight()), bias == null ? null : in(bias));
  }

  private Weight in(Weight weight) {
    @Nullable Tensor tensor = tensors.get(weight.name());
    return tensor == null ? weight : new Weight(weight.name(), tensor);
  }
}
