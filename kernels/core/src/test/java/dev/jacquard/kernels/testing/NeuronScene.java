package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.NeuronRule;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Op.Activation;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.tensor.ElementFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A feed-forward layer whose rows come in through an embedding, one row a token.
 *
 * @param format of the matrices
 * @param bias whether the projections have biases
 * @param outputs whether the layer sees output rows only
 */
public record NeuronScene(
    ElementFormat format, Activation activation, boolean bias, boolean outputs) {
  /**
   * What became of a row.
   *
   * @param computed neurons that counted, of {@code all}
   */
  @SuppressWarnings("ArrayRecordComponent") // compared by hand
  public record Row(
      int token,
      float[] out,
      float[] hidden,
      long computed,
      long all,
      long bytes,
      long bytesDense) {
    @Override
    public String toString() {
      return "%d of %d neurons, %d of %d bytes".formatted(computed, all, bytes, bytesDense);
    }
  }

  private static final Map<NeuronScene, Op.FeedForward> LAYERS = new ConcurrentHashMap<>();

  /** Inputs and outputs: more than a strip of outputs, and no whole number of strips. */
  private int width() {
    return format.blockSize() > 32 ? format.blockSize() : 160;
  }

  /** More neurons than share a chunk, and no whole number of chunks where blocks are small. */
  int neurons() {
    return format.blockSize() > 32 ? 2 * format.blockSize() : 544;
  }

  private Slot in() {
    return new Slot("x", width(), Domain.ALL);
  }

  private Slot selected() {
    return new Slot("selected", width(), Domain.OUTPUT);
  }

  private Slot hidden() {
    return new Slot("hidden", neurons(), outputs ? Domain.OUTPUT : Domain.ALL);
  }

  Slot out() {
    return new Slot("y", width(), outputs ? Domain.OUTPUT : Domain.ALL);
  }

  /** The layer; encoded once, which for some formats takes longer than all that is run. */
  Op.FeedForward op() {
    return LAYERS.computeIfAbsent(this, NeuronScene::layer);
  }

  private Op.FeedForward layer() {
    return new Op.FeedForward(
        0,
        outputs ? selected() : in(),
        OpCases.linear("gate", format, neurons(), width(), bias),
        OpCases.linear("up", format, neurons(), width(), bias),
        OpCases.linear("down", format, width(), neurons(), bias),
        activation,
        hidden(),
        out());
  }

  /** What the layer gives where no neuron counts. */
  float[] downBias() {
    float[] values = new float[width()];
    Op.Linear down = op().down();
    if (down.bias() != null) {
      down.bias().tensor().decodeRow(0, values, 0);
    }
    return values;
  }

  /** Activations of the gate for a token, in double. */
  float[] gate(int token) {
    Op.FeedForward op = op();
    float[] x = new float[width()];
    OpCases.input(in()).table().tensor().decodeRow(token, x, 0);
    float[] biases = new float[neurons()];
    if (op.gate().bias() != null) {
      op.gate().bias().tensor().decodeRow(0, biases, 0);
    }
    float[] row = new float[width()];
    float[] values = new float[neurons()];
    for (int i = 0; i < values.length; i++) {
      op.gate().weight().tensor().decodeRow(i, row, 0);
      double sum = biases[i];
      for (int k = 0; k < row.length; k++) {
        sum += (double) row[k] * x[k];
      }
      values[i] =
          (float)
              switch (activation) {
                case SILU -> sum / (1 + Math.exp(-sum));
                case GELU_TANH ->
                    0.5
                        * sum
                        * (1
                            + Math.tanh(
                                Math.sqrt(2 / Math.PI) * (sum + 0.044715 * sum * sum * sum)));
              };
    }
    return values;
  }

  /** Runs tokens 0, 1, … in one step: {@code rows} for each rule, a sequence each. */
  List<Row> run(Backend backend, List<NeuronRule> rules, int rows) {
    return run(backend, rules, 0, rows);
  }

  /** The same from token {@code first} on. */
  List<Row> run(Backend backend, List<NeuronRule> rules, int first, int rows) {
    try (Running running = open(backend, rules.size() * rows)) {
      return running.run(rules, first, rows);
    }
  }

  Running open(Backend backend, int maxRows) {
    return new Running(backend, maxRows);
  }

  /** The layer, compiled. */
  final class Running implements AutoCloseable {
    private final Executable executable;
    private final KvStorage kv;
    private final StepInputs inputs;

    private Running(Backend backend, int maxRows) {
      List<Op> ops = new ArrayList<>();
      ops.add(OpCases.input(in()));
      if (outputs) {
        ops.add(new Op.SelectRows(in(), selected()));
      }
      ops.add(op());
      Program program = new Program(ops, new KvSpec(List.of()), out());
      executable = backend.compile(program, CompileOptions.of(maxRows, maxRows));
      kv = backend.allocateKv(program.kv(), KvFormat.F32);
      inputs = new StepInputs(maxRows, 0);
    }

    List<Row> run(List<NeuronRule> rules, int first, int rows) {
      step(rules, first, rows);
      // Once as it usually runs, once observed: the second writes hidden values.
      executable.run(inputs, kv, null);
      List<float[]> plain = new ArrayList<>();
      for (int r = 0; r < inputs.rows(); r++) {
        plain.add(read(out(), r));
      }
      executable.run(inputs, kv, (index, op) -> {});
      List<Row> results = new ArrayList<>();
      for (int r = 0; r < inputs.rows(); r++) {
        float[] out = read(out(), r);
        if (!Arrays.equals(out, plain.get(r))) {
          throw new AssertionError("an observer changes row " + r);
        }
        results.add(row(r));
      }
      return results;
    }

    /** One row with an input that is no number. */
    Row runNotANumber(NeuronRule rule) {
      step(List.of(rule), 0, 1);
      executable.run(
          inputs,
          kv,
          (index, op) -> {
            if (op instanceof Op.Embed) {
              float[] x = read(in(), 0);
              x[3] = Float.NaN;
              executable.write(in(), 0, x, 0);
            }
          });
      return row(0);
    }

    private void step(List<NeuronRule> rules, int first, int rows) {
      inputs.clear();
      for (NeuronRule rule : rules) {
        int sequence = inputs.addSequence();
        inputs.setNeurons(sequence, rule);
        for (int r = 0; r < rows; r++) {
          inputs.addRow(sequence, r, first + inputs.rows(), true);
        }
      }
    }

    private Row row(int r) {
      return new Row(
          inputs.token(r),
          read(out(), r),
          read(hidden(), r),
          executable.feedForward().computed(r),
          executable.feedForward().neurons(r),
          executable.feedForward().bytes(r),
          executable.feedForward().bytesDense(r));
    }

    private float[] read(Slot slot, int row) {
      float[] values = new float[slot.width()];
      executable.read(slot, row, values, 0);
      return values;
    }

    long ownBytes() {
      return executable.ownBytes();
    }

    @Override
    public void close() {
      executable.close();
      kv.close();
    }
  }

  @Override
  public String toString() {
    return format.name() + " " + activation + (bias ? ", bias" : "") + (outputs ? ", outputs" : "");
  }
}
