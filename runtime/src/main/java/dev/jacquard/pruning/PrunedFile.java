package dev.jacquard.pruning;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Weight;
import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.modelfile.GgufWriter.TensorData;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A model file whose feed-forward layers have fewer neurons. Rows of gate and up are copied as they
 * are stored; W_down, of which blocks hold several neurons, is stored anew.
 */
final class PrunedFile {
  /** A tensor that takes the place of one of the model's, or is added. */
  private record Replacement(ElementFormat format, Shape shape, MemorySegment data) {}

  private final GgufFile file;
  private final PruningSettings settings;
  private final Map<String, Replacement> replaced = new TreeMap<>();
  private final List<PruningReport.Layer> layers = new ArrayList<>();
  private boolean bias;

  PrunedFile(GgufFile file, PruningSettings settings) {
    this.file = file;
    this.settings = settings;
  }

  /** Takes a layer's smaller matrices; layers come in order. */
  void layer(Op.FeedForward op, int[] kept, Compensation.Down down, NeuronStatistics statistics) {
    for (Op.Linear linear : List.of(op.gate(), op.up())) {
      rows(linear.weight(), kept);
      if (linear.bias() != null) {
        elements(linear.bias(), kept);
      }
    }
    Weight weight = op.down().weight();
    int width = weight.rows();
    ElementFormat format = format(weight.tensor().format(), kept.length);
    MemorySegment data = allocate(format.bytes((long) width * kept.length));
    Tensor stored = new Tensor(format, Shape.of(kept.length, width), data);
    float[] row = new float[kept.length];
    double error = 0;
    double squares = 0;
    for (int r = 0; r < width; r++) {
      int from = r * kept.length;
      format.encode(down.weights(), from, kept.length, data, r * stored.rowBytes());
      stored.decodeRow(r, row, 0);
      for (int k = 0; k < kept.length; k++) {
        double w = down.weights()[from + k];
        error += (w - row[k]) * (w - row[k]);
        squares += w * w;
      }
    }
    put(weight.name(), format, stored.shape(), data);
    addBias(op.down(), down);
    layers.add(
        new PruningReport.Layer(
            op.layer(),
            statistics.neurons(),
            kept.length,
            format.name(),
            squares > 0 ? Math.sqrt(error / squares) : 0));
  }

  private void addBias(Op.Linear linear, Compensation.Down down) {
    float[] added = down.bias();
    if (added == null) {
      return;
    }
    float[] values = added.clone();
    String name = linear.weight().name().replace(".weight", ".bias");
    Weight old = linear.bias();
    if (old != null) {
      float[] own = new float[values.length];
      old.tensor().decodeRow(0, own, 0);
      for (int i = 0; i < values.length; i++) {
        values[i] += own[i];
      }
    }
    bias = true;
    MemorySegment data = allocate((long) values.length * Float.BYTES);
    F32.INSTANCE.encode(values, 0, values.length, data, 0);
    put(name, F32.INSTANCE, Shape.of(values.length), data);
  }

  /** The format itself where rows are whole blocks of it, or else what llama.cpp falls back to. */
  private static ElementFormat format(ElementFormat own, int columns) {
    if (columns % own.blockSize() == 0) {
      return own;
    }
    String smaller = own.name().equals("Q4_K") ? "Q5_0" : "Q8_0";
    return ElementFormats.byName(smaller).orElseThrow();
  }

  private void rows(Weight weight, int[] kept) {
    Tensor tensor = weight.tensor();
    MemorySegment data = allocate(kept.length * tensor.rowBytes());
    for (int k = 0; k < kept.length; k++) {
      MemorySegment.copy(
          tensor.data(),
          kept[k] * tensor.rowBytes(),
          data,
          k * tensor.rowBytes(),
          tensor.rowBytes());
    }
    put(weight.name(), tensor.format(), Shape.of(tensor.columns(), kept.length), data);
  }

  private void elements(Weight vector, int[] kept) {
    float[] all = new float[vector.columns()];
    vector.tensor().decodeRow(0, all, 0);
    float[] some = new float[kept.length];
    for (int k = 0; k < kept.length; k++) {
      some[k] = all[kept[k]];
    }
    MemorySegment data = allocate((long) some.length * Float.BYTES);
    F32.INSTANCE.encode(some, 0, some.length, data, 0);
    put(vector.name(), F32.INSTANCE, Shape.of(some.length), data);
  }

  private static MemorySegment allocate(long bytes) {
    return Arena.ofAuto().allocate(bytes, 64);
  }

  private void put(String name, ElementFormat format, Shape shape, MemorySegment data) {
    replaced.put(name, new Replacement(format, shape, data));
  }

  /** Writes the file and says what it is. */
  PruningReport write(Path out) throws IOException {
    GgufWriter writer = new GgufWriter();
    String sizes = file.metadata().architecture() + ".feed_forward_length";
    for (String key : file.metadata().keys()) {
      if (!key.equals(sizes) && !key.equals("general.alignment") && !key.startsWith("split.")) {
        writer.copy(file, key);
      }
    }
    List<Integer> kept = layers.stream().map(PruningReport.Layer::after).toList();
    if (kept.stream().distinct().count() == 1) {
      writer.put(sizes, GgufType.UINT32, kept.getFirst());
    } else {
      writer.putArray(sizes, GgufType.UINT32, kept);
    }
    writer
        .put("pruning.share", GgufType.FLOAT32, settings.share())
        .put("pruning.score", GgufType.STRING, settings.score().toString())
        .put("pruning.compensation", GgufType.STRING, settings.compensation().toString());
    long before = 0;
    long after = 0;
    long feedForwardBefore = 0;
    long feedForwardAfter = 0;
    for (TensorInfo info : file.tensors()) {
      Replacement other = replaced.remove(info.name());
      long bytes = info.bytes();
      if (other == null) {
        MemorySegment data = file.tensor(info.name()).orElseThrow().data();
        writer.tensor(info.name(), type(info.typeNumber()), info.shape(), TensorData.of(data));
      } else {
        add(writer, info.name(), other);
        bytes = other.data.byteSize();
        feedForwardBefore += info.bytes();
        feedForwardAfter += bytes;
      }
      before += info.bytes();
      after += bytes;
    }
    for (Map.Entry<String, Replacement> added : replaced.entrySet()) { // biases
      add(writer, added.getKey(), added.getValue());
      after += added.getValue().data.byteSize();
      feedForwardAfter += added.getValue().data.byteSize();
    }
    writer.write(out);
    return new PruningReport(layers, before, after, feedForwardBefore, feedForwardAfter, bias);
  }

  private static void add(GgufWriter writer, String name, Replacement tensor) {
    writer.tensor(name, type(tensor.format.ggmlType()), tensor.shape, TensorData.of(tensor.data));
  }

  private static GgmlTypes.Type type(int number) {
    return GgmlTypes.byNumber(number).orElseThrow();
  }
}
