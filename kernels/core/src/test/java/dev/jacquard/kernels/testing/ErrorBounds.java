package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Weight;

/**
 * How far an op may be from the reference: the root mean square of the differences over all values
 * of a case, divided by the root mean square of the reference's values. A single value may be off
 * by {@link #SINGLE} times as much.
 */
public final class ErrorBounds {
  /** Copying, and one rounding to float32. */
  public static final double EXACT = 1e-7;

  /** A few roundings to float32 for each value. */
  public static final double FLOAT = 2e-6;

  /** Sums of some hundred products in float32. */
  public static final double FLOAT_SUM = 1e-5;

  /** Activations rounded to 8 bits in blocks: half a step of 1/127 of the largest of a block. */
  public static final double EIGHT_BIT = 1e-2;

  /** How much larger the difference of one value may be than the mean may. */
  public static final double SINGLE = 8;

  private ErrorBounds() {}

  /** The bound of an op. */
  public static double of(Op op) {
    return switch (op) {
      case Op.Embed _ -> EXACT;
      case Op.RmsNorm _ -> FLOAT;
      case Op.MatMul o ->
          o.projections().stream().mapToDouble(p -> of(p.linear().weight())).max().orElse(0);
      case Op.Head o -> of(o.output().weight());
      case Op.Rope _ -> FLOAT;
      case Op.WriteKv _ -> EXACT;
      case Op.SelectPages _, Op.Attention _ -> FLOAT_SUM;
      // Two products, one after the other, and their errors add up.
      case Op.FeedForward o -> 2 * Math.max(of(o.gate().weight()), of(o.down().weight()));
      case Op.Add _ -> EXACT;
      case Op.SelectRows _ -> EXACT;
    };
  }

  /** Weights in blocks may meet 8-bit activations. */
  private static double of(Weight weight) {
    return weight.tensor().format().blockSize() == 1 ? FLOAT_SUM : EIGHT_BIT;
  }
}
