package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.RotaryEmbedding.Pairing;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.testing.NaiveQuantization;
import dev.jacquard.kernels.testing.OpCase;
import dev.jacquard.kernels.testing.Results;
import dev.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The definitions of the ops, written down token by token in double: no slots shared between rows,
 * no batches, no pages, no threads.
 */
final class NaiveProgram {
  private final OpCase test;
  private final Map<Weight, double[][]> decoded = new HashMap<>();
  private final Results results = new Results();

  NaiveProgram(OpCase test) {
    this.test = test;
    for (int s = 0; s < test.sequences().size(); s++) {
      List<List<double[]>> keys = perLayer();
      List<List<double[]>> values = perLayer();
      for (int position = 0; position < test.sequences().get(s); position++) {
        new Token(s, position, keys, values).run();
      }
    }
  }

  private List<List<double[]>> perLayer() {
    List<List<double[]>> all = new ArrayList<>();
    test.program().kv().layers().forEach(layer -> all.add(new ArrayList<>()));
    return all;
  }

  Results results() {
    return results;
  }

  private final class Token {
    private final int sequence;
    private final int position;
    private final List<List<double[]>> keys;
    private final List<List<double[]>> values;
    private final Map<Slot, double[]> slots = new HashMap<>();

    Token(int sequence, int position, List<List<double[]>> keys, List<List<double[]>> values) {
      this.sequence = sequence;
      this.position = position;
      this.keys = keys;
      this.values = values;
    }

    void run() {
      for (Op op : test.program().ops()) {
        run(op);
      }
      for (Slot slot : test.results()) {
        if (test.hasRow(slot, position)) {
          double[] exact = get(slot);
          float[] rounded = new float[exact.length];
          for (int i = 0; i < exact.length; i++) {
            rounded[i] = (float) exact[i];
          }
          results.put(slot, sequence, position, rounded);
        }
      }
    }

    private double[] get(Slot slot) {
      double[] row = slots.get(slot);
      if (row == null) {
        throw new AssertionError("nothing wrote " + slot);
      }
      return row;
    }

    private void run(Op op) {
      switch (op) {
        case Op.Embed o -> {
          double[] row = matrix(o.table())[test.token(sequence, position)];
          slots.put(o.out(), Arrays.stream(row).map(x -> x * o.scale()).toArray());
        }
        case Op.RmsNorm o -> slots.put(o.out(), norm(get(o.in()), o));
        case Op.MatMul o -> {
          for (Op.Projection p : o.projections()) {
            slots.put(p.out(), apply(p.linear(), get(o.in())));
          }
        }
        case Op.Rope o -> slots.put(o.inOut(), rotate(get(o.inOut()), o));
        case Op.WriteKv o -> {
          KvSpec.Layer layer = test.program().kv().layers().get(o.layer());
          remember(keys, o.layer(), get(o.key()), layer.keySize());
          remember(values, o.layer(), get(o.value()), layer.valueSize());
        }
        case Op.SelectPages _ -> {}
        case Op.Attention o -> slots.put(o.out(), attend(get(o.query()), o));
        case Op.FeedForward o -> {
          double[] gate = apply(o.gate(), get(o.in()));
          double[] up = apply(o.up(), get(o.in()));
          for (int i = 0; i < gate.length; i++) {
            gate[i] = activate(o.activation(), gate[i]) * up[i];
          }
          slots.put(o.hidden(), gate);
          slots.put(o.out(), apply(o.down(), gate));
        }
        case Op.Head o -> slots.put(o.out(), apply(o.output(), get(o.in())));
        case Op.Add o -> {
          double[] sum = get(o.a()).clone();
          Arrays.setAll(sum, i -> get(o.a())[i] + get(o.b())[i]);
          slots.put(o.out(), sum);
        }
        case Op.SelectRows o -> slots.put(o.out(), get(o.in()));
      }
    }

    /** Keeps a row as the cache rounds it; heads have {@code size} numbers. */
    private void remember(List<List<double[]>> cache, int layer, double[] row, int size) {
      double[] rounded = new double[row.length];
      for (int head = 0; head < row.length; head += size) {
        float[] numbers = new float[size];
        for (int i = 0; i < size; i++) {
          numbers[i] = (float) row[head + i];
        }
        double[] kept =
            switch (test.kvFormat()) {
              case F16 -> halves(numbers);
              case F32 -> singles(numbers);
              case Q8 -> NaiveQuantization.round(numbers, false);
            };
        System.arraycopy(kept, 0, rounded, head, size);
      }
      cache.get(layer).add(rounded);
    }

    private static double[] halves(float[] x) {
      return IntStream.range(0, x.length)
          .mapToDouble(i -> Float.float16ToFloat(Float.floatToFloat16(x[i])))
          .toArray();
    }

    private static double[] singles(float[] x) {
      return IntStream.range(0, x.length).mapToDouble(i -> x[i]).toArray();
    }

    private double[] attend(double[] query, Op.Attention op) {
      KvSpec.Layer layer = test.program().kv().layers().get(op.layer());
      double[] out = new double[op.heads() * layer.valueSize()];
      for (int h = 0; h < op.heads(); h++) {
        int kvHead = h * layer.heads() / op.heads();
        double total = 0;
        for (int q = 0; q <= position; q++) {
          if (op.window() > 0 && q <= position - op.window()) {
            continue;
          }
          double[] key = keys.get(op.layer()).get(q);
          double[] value = values.get(op.layer()).get(q);
          double score = 0;
          for (int i = 0; i < layer.keySize(); i++) {
            score += query[h * layer.keySize() + i] * key[kvHead * layer.keySize() + i];
          }
          score *= op.scale();
          score = op.softCap() > 0 ? op.softCap() * Math.tanh(score / op.softCap()) : score;
          total += Math.exp(score);
          for (int i = 0; i < layer.valueSize(); i++) {
            out[h * layer.valueSize() + i] +=
                Math.exp(score) * value[kvHead * layer.valueSize() + i];
          }
        }
        for (int i = 0; i < layer.valueSize(); i++) {
          out[h * layer.valueSize() + i] /= total;
        }
      }
      return out;
    }

    private double[] rotate(double[] x, Op.Rope op) {
      double[] y = x.clone();
      int pairs = op.rotary().frequencies().length;
      for (int head = 0; head < x.length / op.headSize(); head++) {
        for (int j = 0; j < pairs; j++) {
          boolean neighbours = op.rotary().pairing() == Pairing.NEIGHBOURS;
          int a = head * op.headSize() + (neighbours ? 2 * j : j);
          int b = head * op.headSize() + (neighbours ? 2 * j + 1 : j + pairs);
          double angle = position * op.rotary().frequencies()[j];
          y[a] = op.rotary().amplitude() * (x[a] * Math.cos(angle) - x[b] * Math.sin(angle));
          y[b] = op.rotary().amplitude() * (x[a] * Math.sin(angle) + x[b] * Math.cos(angle));
        }
      }
      return y;
    }
  }

  private double[] norm(double[] x, Op.RmsNorm op) {
    double[] weight = vector(op.weight());
    double[] y = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      int group = i - i % weight.length;
      double mean = 0;
      for (int j = group; j < group + weight.length; j++) {
        mean += x[j] * x[j] / weight.length;
      }
      y[i] = x[i] / Math.sqrt(mean + op.epsilon()) * weight[i % weight.length];
    }
    return y;
  }

  private static double activate(Op.Activation activation, double x) {
    return switch (activation) {
      case SILU -> x * (0.5 + 0.5 * Math.tanh(x / 2));
      case GELU_TANH ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * Math.pow(x, 3))));
    };
  }

  private double[] apply(Op.Linear linear, double[] x) {
    double[][] w = matrix(linear.weight());
    double[] b = linear.bias() == null ? new double[w.length] : vector(linear.bias());
    double[] y = new double[w.length];
    for (int o = 0; o < w.length; o++) {
      y[o] = b[o];
      for (int i = 0; i < x.length; i++) {
        y[o] += w[o][i] * x[i];
      }
    }
    return y;
  }

  private double[] vector(Weight weight) {
    return matrix(weight)[0];
  }

  /** All values, decoded in one go. */
  private double[][] matrix(Weight weight) {
    return decoded.computeIfAbsent(weight, NaiveProgram::decode);
  }

  private static double[][] decode(Weight weight) {
    Tensor tensor = weight.tensor();
    float[] all = new float[(int) tensor.shape().elements()];
    tensor.format().decode(tensor.data(), 0, all, 0, all.length);
    double[][] rows = new double[tensor.rows()][tensor.columns()];
    for (int i = 0; i < all.length; i++) {
      rows[i / tensor.columns()][i % tensor.columns()] = all[i];
    }
    return rows;
  }
}
