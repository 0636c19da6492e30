package dev.jacquard.session;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import java.util.List;

/**
 * What computing one token costs by counting, if nothing is left out: bytes that are read (all
 * weights, and the keys and values that the token sees) and multiplications that are added up.
 * Numbers of this kind are the same on every machine.
 */
public final class StepCost {
  private final long weightBytes;
  private final long weightMultiplyAdds;
  private final long feedForwardMultiplyAdds;
  private final int[] windows;
  private final long[] bytesPerVisibleToken;
  private final long[] multiplyAddsPerVisibleToken;

  private StepCost(long weightBytes, Program program, KvFormat format) {
    this.weightBytes = weightBytes;
    KvSpec spec = program.kv();
    List<Integer> groups = spec.groupWindows();
    windows = groups.stream().mapToInt(Integer::intValue).toArray();
    bytesPerVisibleToken = new long[windows.length];
    for (int group = 0; group < windows.length; group++) {
      bytesPerVisibleToken[group] = spec.readBytes(group, format);
    }
    multiplyAddsPerVisibleToken = new long[windows.length];
    long weights = 0;
    long feedForward = 0;
    for (Op op : program.ops()) {
      switch (op) {
        case Op.MatMul o -> {
          for (Op.Projection p : o.projections()) {
            weights += elements(p.linear());
          }
        }
        case Op.FeedForward o ->
            feedForward += elements(o.gate()) + elements(o.up()) + elements(o.down());
        case Op.Head o -> weights += elements(o.output());
        case Op.Attention o -> {
          KvSpec.Layer layer = spec.layers().get(o.layer());
          multiplyAddsPerVisibleToken[spec.groupOf(o.layer())] +=
              (long) o.heads() * (layer.keySize() + layer.valueSize());
        }
        case Op.Embed _, Op.RmsNorm _, Op.Rope _, Op.WriteKv _ -> {}
        case Op.SelectPages _, Op.Add _, Op.SelectRows _ -> {}
      }
    }
    feedForwardMultiplyAdds = feedForward;
    weightMultiplyAdds = weights + feedForward;
  }

  private static long elements(Op.Linear linear) {
    return linear.weight().tensor().shape().elements();
  }

  /**
   * The cost of a program.
   *
   * @param weightBytes that a step of one row with one output reads, as {@link
   *     dev.jacquard.kernels.Executable#weightBytesPerStep} says
   * @param format of cached keys and values
   */
  public static StepCost of(long weightBytes, Program program, KvFormat format) {
    return new StepCost(weightBytes, program, format);
  }

  /** Bytes of weights among them. */
  public long weightBytes() {
    return weightBytes;
  }

  /** Bytes read for the token at {@code position}, which sees itself. */
  public long bytesAt(int position) {
    return at(position, weightBytes, bytesPerVisibleToken);
  }

  /** Multiply-adds with weights, of scores and of values, for the token at {@code position}. */
  public long multiplyAddsAt(int position) {
    return at(position, weightMultiplyAdds, multiplyAddsPerVisibleToken);
  }

  /** Those of them that attention takes. */
  public long attentionMultiplyAddsAt(int position) {
    return at(position, 0, multiplyAddsPerVisibleToken);
  }

  /** Those of them that feed-forward layers take. */
  public long feedForwardMultiplyAdds() {
    return feedForwardMultiplyAdds;
  }

  private long at(int position, long weights, long[] perVisibleToken) {
    long sum = weights;
    for (int group = 0; group < windows.length; group++) {
      int visible = position + 1;
      if (windows[group] > 0) {
        visible = Math.min(visible, windows[group]);
      }
      sum += visible * perVisibleToken[group];
    }
    return sum;
  }
}
