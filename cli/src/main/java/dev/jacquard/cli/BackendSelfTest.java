package dev.jacquard.cli;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;

/**
 * Something small for a backend to compute: one transformer layer with random weights of one number
 * format, in which every op occurs, over a handful of tokens.
 */
final class BackendSelfTest {
  /** Bound on the normalised squared error, as for quantised products in ggml's backend tests. */
  static final double BOUND = 5e-4;

  private static final int TOKENS = 6;
  private static final int VOCABULARY = 32;
  private static final int WIDTH = 256; // the block of the K formats
  private static final int HEAD = 64;
  private static final int HEADS = WIDTH / HEAD;

  private final ElementFormat format;
  private final Arena arena;
  private final Random random = new Random(1);
  private final Program program;

  /** A layer whose weights live as long as {@code arena}. */
  BackendSelfTest(ElementFormat format, Arena arena) {
    this.format = format;
    this.arena = arena;
    this.program = layer();
  }

  /** Squared difference of two results, relative to the square of the second. */
  static double error(float[] candidate, float[] reference) {
    double error = 0;
    double power = 0;
    for (int i = 0; i < reference.length; i++) {
      double difference = (double) candidate[i] - reference[i];
      error += difference * difference;
      power += (double) reference[i] * reference[i];
    }
    return error / power;
  }

  /** Logits after the last token, in one step. */
  float[] run(Backend backend) {
    StepInputs inputs = inputs();
    float[] logits = new float[VOCABULARY];
    try (KvStorage kv = backend.allocateKv(program.kv(), KvFormat.F32);
        Executable executable = backend.compile(program, CompileOptions.of(TOKENS, 1))) {
      kv.grow(0, 1);
      executable.run(inputs, kv, null);
      executable.read(program.logits(), 0, logits, 0);
    }
    return logits;
  }

  private static StepInputs inputs() {
    StepInputs inputs = new StepInputs(TOKENS, 1);
    int sequence = inputs.addSequence();
    for (int i = 0; i < TOKENS; i++) {
      int row = inputs.addRow(sequence, i, 5 * i + 1, i == TOKENS - 1);
      inputs.setWrite(0, row, 0, i);
    }
    inputs.view(sequence, 0).add(0, 0, TOKENS, false);
    return inputs;
  }

  private Program layer() {
    Slot hidden = slot("hidden", WIDTH);
    Slot normed = slot("normed", WIDTH);
    Slot query = slot("query", WIDTH);
    Slot key = slot("key", WIDTH);
    Slot value = slot("value", WIDTH);
    Slot mixed = slot("mixed", WIDTH);
    Slot selected = new Slot("selected", WIDTH, Slot.Domain.OUTPUT);
    Slot logits = new Slot("logits", VOCABULARY, Slot.Domain.OUTPUT);
    Weight norm = new Weight("norm", tensor(F32.INSTANCE, 1, WIDTH));
    RotaryEmbedding rotary = rotary();
    List<Op> ops =
        List.of(
            new Op.Embed(weight("embedding", VOCABULARY), 1, hidden),
            new Op.RmsNorm(hidden, norm, 1e-5f, normed),
            new Op.MatMul(normed, List.of(into("q", query), into("k", key), into("v", value))),
            new Op.Rope(query, HEAD, rotary),
            new Op.Rope(key, HEAD, rotary),
            new Op.WriteKv(0, key, value),
            new Op.Attention(0, query, mixed, HEADS, 0.125f, 0, 0, null),
            new Op.MatMul(mixed, List.of(into("o", normed))),
            new Op.Add(hidden, normed, hidden),
            new Op.RmsNorm(hidden, norm, 1e-5f, normed),
            new Op.FeedForward(
                0,
                normed,
                linear("gate"),
                linear("up"),
                linear("down"),
                Op.Activation.SILU,
                query,
                mixed),
            new Op.Add(hidden, mixed, hidden),
            new Op.SelectRows(hidden, selected),
            new Op.Head(selected, new Op.Linear(weight("output", VOCABULARY), null), logits));
    return new Program(ops, new KvSpec(List.of(new KvSpec.Layer(HEADS, HEAD, HEAD, 0))), logits);
  }

  private static RotaryEmbedding rotary() {
    double[] frequencies = new double[HEAD / 2];
    for (int j = 0; j < frequencies.length; j++) {
      frequencies[j] = Math.pow(10_000, -2.0 * j / HEAD);
    }
    return new RotaryEmbedding(RotaryEmbedding.Pairing.NEIGHBOURS, frequencies, 1);
  }

  private static Slot slot(String name, int width) {
    return new Slot(name, width, Slot.Domain.ALL);
  }

  private Op.Projection into(String name, Slot out) {
    return new Op.Projection(new Op.Linear(weight(name, out.width()), null), out);
  }

  private Op.Linear linear(String name) {
    return new Op.Linear(weight(name, WIDTH), null);
  }

  private Weight weight(String name, int rows) {
    return new Weight(name, tensor(format, rows, WIDTH));
  }

  private Tensor tensor(ElementFormat stored, int rows, int columns) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() * 0.06f;
    }
    MemorySegment data = arena.allocate(stored.bytes(values.length), 64);
    stored.encode(values, 0, values.length, data, 0);
    return new Tensor(stored, Shape.of(columns, rows), data);
  }
}
