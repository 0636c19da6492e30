package dev.jacquard.kernels.testing;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Op.Activation;
import dev.jacquard.kernels.Op.Linear;
import dev.jacquard.kernels.Op.Projection;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.RotaryEmbedding;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Slot.Domain;
import dev.jacquard.kernels.Weight;
import dev.jacquard.memory.GuardPages;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F16;
import dev.jacquard.tensor.format.F32;
import dev.jacquard.tensor.format.Q8_0;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The cases of {@link BackendContract}: small, with sizes that are multiples of nothing handy. */
public final class OpCases {
  /** Rows of embeddings and of the widest matrices: the vocabularies of our tiny models. */
  private static final int VOCABULARY = 311;

  private static final int OUTPUTS = 385;
  private static final int ROWS = 17;
  private static final KvSpec NO_CACHE = new KvSpec(List.of());

  private OpCases() {}

  /** Every case. */
  public static Stream<OpCase> all() {
    return Stream.of(
            embeddings(), norms(), products(), rotations(), attentions(), feedForwards(), others())
        .flatMap(List::stream);
  }

  /** A width that is a whole number of the format's blocks, and three of the small ones. */
  static int width(ElementFormat format) {
    return format.blockSize() > 32 ? 2 * format.blockSize() : 96;
  }

  /** A matrix of normal numbers of size about {@code 1/√columns}, seeded by its name. */
  public static Weight matrix(String name, ElementFormat format, int rows, int columns) {
    return weight(name, format, Shape.of(columns, rows), 1 / Math.sqrt(columns), 0);
  }

  private static Weight vector(String name, ElementFormat format, int size, double centre) {
    return weight(name, format, Shape.of(size), 0.3, centre);
  }

  private static Weight weight(
      String name, ElementFormat format, Shape shape, double size, double centre) {
    Random random = new Random(name.hashCode());
    float[] values = new float[(int) shape.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (centre + size * random.nextGaussian());
    }
    return new Weight(name, tensor(format, shape, values));
  }

  /** Encoded values in memory that ends at a guard page and lives as long as the tensor. */
  public static Tensor tensor(ElementFormat format, Shape shape, float[] values) {
    MemorySegment data = GuardPages.allocate(Arena.ofAuto(), format.bytes(values.length));
    format.encode(values, 0, values.length, data, 0);
    return new Tensor(format, shape, data);
  }

  private static Slot slot(String name, int width) {
    return new Slot(name, width, Domain.ALL);
  }

  private static Slot output(String name, int width) {
    return new Slot(name, width, Domain.OUTPUT);
  }

  /** Brings rows of normal numbers of size about 1 in. */
  static Op.Embed input(Slot slot) {
    Shape shape = Shape.of(slot.width(), VOCABULARY);
    return new Op.Embed(weight(slot.name() + ".rows", F32.INSTANCE, shape, 1, 0), 1, slot);
  }

  private static OpCase plain(String name, Op... ops) {
    return new OpCase(
        name,
        new Program(List.of(ops), NO_CACHE, Program.outputs(ops[ops.length - 1]).getFirst()),
        KvFormat.F32,
        List.of(ROWS),
        VOCABULARY);
  }

  private static List<OpCase> embeddings() {
    List<OpCase> cases = new ArrayList<>();
    for (ElementFormat format : ElementFormats.all()) {
      Weight table = matrix("table", format, VOCABULARY, width(format));
      cases.add(
          plain(
              "embed " + format.name(),
              new Op.Embed(table, (float) Math.sqrt(96), slot("x", width(format)))));
    }
    return cases;
  }

  private static List<OpCase> norms() {
    Slot x = slot("x", 96);
    Slot y = slot("y", 96);
    Slot wide = slot("wide", 5 * 97);
    Slot out = output("out", 96);
    Op.Embed in = input(x);
    return List.of(
        plain("norm", in, norm(x, vector("w", F32.INSTANCE, 96, 1), y)),
        plain("norm in place", in, norm(x, vector("w", F32.INSTANCE, 96, 1), x)),
        plain("norm of heads of 12", in, norm(x, vector("w", F32.INSTANCE, 12, 1), x)),
        plain("norm of odd size", input(wide), norm(wide, vector("w", F32.INSTANCE, 97, 1), wide)),
        plain("norm, F16 weight", in, norm(x, vector("w", F16.INSTANCE, 96, 1), y)),
        plain(
            "norm of outputs",
            in,
            new Op.SelectRows(x, out),
            norm(out, vector("w", F32.INSTANCE, 96, 1), out)));
  }

  private static Op norm(Slot in, Weight weight, Slot out) {
    return new Op.RmsNorm(in, weight, 1e-3f, out);
  }

  private static List<OpCase> products() {
    List<OpCase> cases = new ArrayList<>();
    for (ElementFormat format : ElementFormats.all()) {
      int width = width(format);
      Slot x = slot("x", width);
      for (int outputs : new int[] {1, 2, 7, 64, OUTPUTS}) {
        Linear linear = new Linear(matrix("w" + outputs, format, outputs, width), null);
        cases.add(
            plain(
                "product " + format.name() + " " + width + " to " + outputs,
                input(x),
                new Op.MatMul(x, List.of(new Projection(linear, slot("y", outputs))))));
      }
      Slot selected = output("selected", width);
      cases.add(
          plain(
              "product " + format.name() + ", bias, outputs only",
              input(x),
              new Op.SelectRows(x, selected),
              new Op.MatMul(
                  selected,
                  List.of(
                      new Projection(
                          linear("w", format, VOCABULARY, width, true),
                          output("y", VOCABULARY))))));
      cases.add(
          plain(
              "three products " + format.name() + ", Q8_0 and F16",
              input(x),
              new Op.MatMul(
                  x,
                  List.of(
                      new Projection(linear("q", format, 96, width, true), slot("q", 96)),
                      new Projection(linear("k", Q8_0.INSTANCE, 36, width, false), slot("k", 36)),
                      new Projection(linear("v", F16.INSTANCE, 20, width, true), slot("v", 20))))));
    }
    return cases;
  }

  static Linear linear(String name, ElementFormat format, int outputs, int inputs, boolean bias) {
    return new Linear(
        matrix(name, format, outputs, inputs),
        bias ? vector(name + ".bias", F32.INSTANCE, outputs, 0) : null);
  }

  private static List<OpCase> rotations() {
    List<OpCase> cases = new ArrayList<>();
    Slot x = slot("x", 96);
    Slot selected = output("selected", 96);
    for (Pairing pairing : Pairing.values()) {
      for (int pairs : new int[] {6, 4, 1}) {
        cases.add(
            plain(
                "rotation of " + pairs + " pairs in heads of 12, " + pairing,
                input(x),
                new Op.Rope(x, 12, rotary(pairing, pairs, 1))));
      }
      cases.add(
          plain(
              "rotation of outputs in heads of 32, amplitude, " + pairing,
              input(x),
              new Op.SelectRows(x, selected),
              new Op.Rope(selected, 32, rotary(pairing, 16, 1.19f))));
    }
    return cases;
  }

  private static RotaryEmbedding rotary(Pairing pairing, int pairs, float amplitude) {
    double[] frequencies =
        IntStream.range(0, pairs).mapToDouble(j -> Math.pow(10_000, -(double) j / pairs)).toArray();
    return new RotaryEmbedding(pairing, frequencies, amplitude);
  }

  private static List<OpCase> attentions() {
    List<OpCase> cases = new ArrayList<>();
    for (KvFormat format : KvFormat.values()) {
      cases.add(attention("attention", 6, new KvSpec.Layer(2, 12, 12, 0), 0, 0, format));
      cases.add(attention("window 20", 4, new KvSpec.Layer(1, 64, 64, 20), 20, 0, format));
      cases.add(attention("window 1", 2, new KvSpec.Layer(2, 16, 16, 1), 1, 0, format));
      cases.add(attention("window over full cache", 3, new KvSpec.Layer(3, 8, 8, 0), 9, 0, format));
      cases.add(attention("cap, uneven heads", 8, new KvSpec.Layer(2, 20, 36, 0), 0, 5, format));
      cases.add(attention("heads of 7", 5, new KvSpec.Layer(5, 7, 7, 0), 0, 0, format));
      cases.add(attention("heads of 7 shared", 8, new KvSpec.Layer(1, 7, 7, 0), 0, 0, format));
    }
    return cases;
  }

  /** The layer under test is the second of three, two of which share a group. */
  private static OpCase attention(
      String name, int heads, KvSpec.Layer layer, int window, float cap, KvFormat format) {
    KvSpec.Layer other = new KvSpec.Layer(3, 4, 8, layer.window());
    KvSpec.Layer third = new KvSpec.Layer(1, 8, 8, layer.window() + 50);
    Slot q = slot("q", heads * layer.keySize());
    Slot k = slot("k", layer.heads() * layer.keySize());
    Slot v = slot("v", layer.heads() * layer.valueSize());
    Slot otherKey = slot("other.k", 12);
    Slot otherValue = slot("other.v", 24);
    Slot out = slot("out", heads * layer.valueSize());
    float scale = (float) (1 / Math.sqrt(layer.keySize()));
    List<Op> ops =
        List.of(
            input(q),
            input(k),
            input(v),
            input(otherKey),
            input(otherValue),
            new Op.WriteKv(0, otherKey, otherValue),
            new Op.WriteKv(1, k, v),
            new Op.Attention(1, q, out, heads, scale, window, cap, null));
    KvSpec spec = new KvSpec(List.of(other, layer, third));
    return new OpCase(
        name + " " + heads + ":" + layer.heads() + " " + format,
        new Program(ops, spec, out),
        format,
        List.of(70, 1, 16, 37),
        VOCABULARY);
  }

  private static List<OpCase> feedForwards() {
    List<OpCase> cases = new ArrayList<>();
    for (ElementFormat format : ElementFormats.all()) {
      for (Activation activation : Activation.values()) {
        boolean bias = activation == Activation.SILU;
        int width = width(format);
        int hidden = format.blockSize() > 32 ? format.blockSize() : 160;
        Slot x = slot("x", width);
        cases.add(
            plain(
                "feed-forward " + format.name() + " " + activation,
                input(x),
                new Op.FeedForward(
                    0,
                    x,
                    linear("gate", format, hidden, width, bias),
                    linear("up", format, hidden, width, bias),
                    linear("down", format, width, hidden, bias),
                    activation,
                    slot("hidden", hidden),
                    slot("y", width))));
      }
    }
    return cases;
  }

  private static List<OpCase> others() {
    Slot a = slot("a", 37);
    Slot b = slot("b", 37);
    Slot out = output("out", 37);
    return List.of(
        plain("sum", input(a), input(b), new Op.Add(a, b, slot("c", 37))),
        plain("sum in place", input(a), input(b), new Op.Add(a, b, a)),
        plain("selection", input(a), new Op.SelectRows(a, out)));
  }

  /** A whole decoder of two layers, one with a window, for all formats that fit its width. */
  public static OpCase decoder(ElementFormat format) {
    int width = width(format);
    int hidden = 2 * width;
    KvSpec kv =
        new KvSpec(List.of(new KvSpec.Layer(2, 12, 12, 20), new KvSpec.Layer(2, 12, 12, 0)));
    Weight table = matrix("embedding", format, VOCABULARY, width);
    Domain rows = Domain.ALL;
    List<Op> ops = new ArrayList<>();
    ops.add(new Op.Embed(table, 4, slot("residual", width)));
    for (int l = 0; l < 2; l++) {
      Slot residual = slot("residual", width);
      Slot normed = slot("normed", width);
      Slot q = slot("q", 6 * 12);
      Slot k = slot("k", 2 * 12);
      Slot v = slot("v", 2 * 12);
      Slot attended = slot("attended", 6 * 12);
      ops.add(norm(residual, vector(l + "norm", F32.INSTANCE, width, 1), normed));
      ops.add(
          new Op.MatMul(
              normed,
              List.of(
                  new Projection(linear(l + "q", format, q.width(), width, true), q),
                  new Projection(linear(l + "k", format, k.width(), width, true), k),
                  new Projection(linear(l + "v", format, v.width(), width, true), v))));
      ops.add(new Op.Rope(q, 12, rotary(Pairing.NEIGHBOURS, 6, 1)));
      ops.add(new Op.Rope(k, 12, rotary(Pairing.NEIGHBOURS, 6, 1)));
      ops.add(new Op.WriteKv(l, k, v));
      ops.add(new Op.Attention(l, q, attended, 6, 0.3f, kv.layers().get(l).window(), 0, null));
      if (l == 1) {
        rows = Domain.OUTPUT;
        ops.add(new Op.SelectRows(attended, output("attended", 72)));
        ops.add(new Op.SelectRows(residual, output("residual", width)));
      }
      Slot in = new Slot("attended", 72, rows);
      Slot stream = new Slot("residual", width, rows);
      Slot ready = new Slot("normed", width, rows);
      Slot branch = new Slot("branch", width, rows);
      ops.add(
          new Op.MatMul(
              in,
              List.of(new Projection(linear(l + "o", F16.INSTANCE, width, 72, false), branch))));
      ops.add(new Op.Add(stream, branch, stream));
      ops.add(norm(stream, vector(l + "ffn_norm", F32.INSTANCE, width, 1), ready));
      ops.add(
          new Op.FeedForward(
              l,
              ready,
              linear(l + "gate", format, hidden, width, false),
              linear(l + "up", format, hidden, width, false),
              linear(l + "down", format, width, hidden, false),
              Activation.SILU,
              new Slot("hidden", hidden, rows),
              branch));
      ops.add(new Op.Add(stream, branch, stream));
    }
    Slot stream = output("residual", width);
    Slot ready = output("normed", width);
    Slot logits = output("logits", VOCABULARY);
    ops.add(norm(stream, vector("last", F32.INSTANCE, width, 1), ready));
    ops.add(new Op.Head(ready, new Linear(table, null), logits));
    return new OpCase(
        "decoder " + format.name(),
        new Program(ops, kv, logits),
        KvFormat.F16,
        List.of(40, 3, 21),
        VOCABULARY);
  }
}
