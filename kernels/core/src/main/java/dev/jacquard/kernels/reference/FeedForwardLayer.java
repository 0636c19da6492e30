package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.FeedForwardReport;
import dev.jacquard.kernels.NeuronLimits;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.NeuronRule.Magnitude;
import dev.jacquard.kernels.NeuronSet;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;

/** Feed-forward layers: everything is computed, and what a rule leaves out is then set to 0. */
final class FeedForwardLayer {
  private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

  private final Product product;
  private final FeedForwardReport report;

  /** Results of up, for all rows of a step. */
  private final float[] up;

  FeedForwardLayer(Program program, CompileOptions options, Product product) {
    this.product = product;
    report = new FeedForwardReport(options.maxRows());
    int neurons = 0;
    for (Op op : program.ops()) {
      if (op instanceof Op.FeedForward f) {
        neurons = Math.max(neurons, f.neurons());
      }
    }
    int rows = Math.max(options.maxRows(), options.maxOutputs());
    up = ReferenceExecutable.allocate("up", rows, neurons);
  }

  FeedForwardReport report() {
    return report;
  }

  void run(Op.FeedForward op, StepInputs inputs, float[] in, float[] hidden, float[] out) {
    boolean all = op.in().domain() == Slot.Domain.ALL;
    int n = all ? inputs.rows() : inputs.outputs();
    int neurons = op.neurons();
    product.multiply(in, n, op.gate(), hidden);
    product.multiply(in, n, op.up(), up);
    long bytes = Product.bytes(op.gate()) + Product.bytes(op.up()) + Product.bytes(op.down());
    for (int r = 0; r < n; r++) {
      int row = all ? r : inputs.outputRow(r);
      int kept = activate(op, inputs.neurons(inputs.sequence(row)), hidden, r * neurons);
      report.add(row, kept, neurons, bytes, bytes);
    }
    product.multiply(hidden, n, op.down(), out);
  }

  /** Hidden values of one row; returns how many neurons count. */
  private int activate(Op.FeedForward op, NeuronRule rule, float[] hidden, int from) {
    int neurons = op.neurons();
    return switch (rule) {
      case NeuronRule.All _ -> {
        for (int i = 0; i < neurons; i++) {
          activate(op, hidden, from + i);
        }
        yield neurons;
      }
      case NeuronRule.Listed(NeuronSet set) -> {
        int kept = 0;
        for (int i = 0; i < neurons; i++) {
          if (kept < set.count(op.layer()) && set.neuron(op.layer(), kept) == i) {
            activate(op, hidden, from + i);
            kept++;
          } else {
            hidden[from + i] = 0;
          }
        }
        yield kept;
      }
      case NeuronRule.Above(Magnitude magnitude, NeuronLimits limits) -> {
        float[] limit = limits.of(op.layer());
        int kept = 0;
        for (int i = 0; i < neurons; i++) {
          double gated = activate(op, hidden, from + i);
          double compared = magnitude == Magnitude.GATE ? gated : hidden[from + i];
          if (Math.abs((float) compared) < limit[i]) {
            hidden[from + i] = 0;
          } else {
            kept++;
          }
        }
        yield kept;
      }
    };
  }

  /** Turns a gate's value into a hidden value; returns the activation. */
  private double activate(Op.FeedForward op, float[] hidden, int at) {
    double gated = activate(op.activation(), hidden[at]);
    hidden[at] = (float) (gated * up[at]);
    return gated;
  }

  private static double activate(Op.Activation activation, double x) {
    return switch (activation) {
      case SILU -> x / (1 + Math.exp(-x));
      case GELU_TANH -> 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
    };
  }
}
