package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.OpSupport;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.tensor.ElementFormat;
import java.util.List;
import java.util.stream.Collectors;

/** The CPU's vector unit through {@code jdk.incubator.vector}, on a fixed pool of threads. */
final class VectorBackend implements Backend {
  private final WorkerPool pool;

  VectorBackend(BackendOptions options) {
    pool = new WorkerPool(options.threads());
  }

  @Override
  public String name() {
    return "vector";
  }

  @Override
  public String description() {
    return "CPU, Vector API with " + Lanes.bits() + " bit, " + pool.threads() + " threads";
  }

  @Override
  public OpSupport support(Op op) {
    return OpSupport.by(
        switch (op) {
          case Op.Embed o -> "row look-up, " + o.table().tensor().format().name();
          case Op.MatMul o ->
              kernels(o.projections().stream().map(p -> p.linear().weight()).toList());
          case Op.FeedForward o ->
              "gate and up fused, "
                  + kernels(List.of(o.gate().weight(), o.up().weight(), o.down().weight()));
          case Op.Head o -> head(o.output().weight().tensor().format());
          case Op.SelectPages _ -> "sketches by look-up in bytes, 4 bits each, " + width();
          case Op.Attention _ ->
              "online softmax over splits of " + AttentionStage.SPLIT + ", " + width();
          case Op.RmsNorm _, Op.Rope _, Op.Add _ -> "f32, " + width();
          case Op.WriteKv _, Op.SelectRows _ -> "copy";
        });
  }

  private static String width() {
    return Lanes.bits() + " bit";
  }

  private static String head(ElementFormat format) {
    String kernel = PackedMatrices.headLayoutFor(format).kernel();
    return kernel
        + (kernel.equals(PackedMatrices.layoutFor(format).kernel())
            ? " tiles, always all logits, "
            : ", all logits or candidates of the first, ")
        + width();
  }

  private static String kernels(List<Weight> weights) {
    return weights.stream()
        .map(w -> w.tensor().format())
        .distinct()
        .map(f -> PackedMatrices.layoutFor(f).kernel())
        .distinct()
        .collect(Collectors.joining(" + ", "", " tiles, float activations, " + width()));
  }

  @Override
  public Executable compile(Program program, CompileOptions options) {
    return new VectorExecutable(program, options, pool);
  }

  @Override
  public KvStorage allocateKv(KvSpec spec, KvFormat format) {
    return switch (format) {
      case F16, F32 -> new VectorKvStorage(spec, format);
      case Q8 -> new Q8KvStorage(spec);
    };
  }

  @Override
  public void close() {
    pool.close();
  }
}
