package dev.jacquard.calibration;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.modelfile.GgmlTypes;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.GgufType;
import dev.jacquard.modelfile.GgufWriter;
import dev.jacquard.modelfile.GgufWriter.TensorData;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.modelfile.ModelMetadata;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The file of a model's bases, a GGUF file.
 *
 * <pre>
 *  metadata  general.architecture  "jacquard-basis"
 *            basis.version         2 (1: made without regard to queries that the text lacks)
 *            basis.model           the model's key, SHA-256
 *            basis.tokens          of the text that they were made from
 *            basis.source          what text that was
 *            basis.layers          numbers of the layers
 *            basis.L.H.bits        of each channel, layer L, key/value head H
 *            basis.L.H.tolerance   factor on the weight from which on tokens are read, FLOAT32
 *  tensors   L.H.mean [size]  L.H.key [channels × size]  L.H.query [channels × size]
 *            L.H.step [channels], all F32
 * </pre>
 */
final class BasisFile {
  private static final String ARCHITECTURE = "jacquard-basis";
  private static final int VERSION = 2;

  private BasisFile() {}

  /**
   * Writes the file, complete or not at all.
   *
   * @param model key of the model
   * @throws IOException if it cannot be written
   */
  static void write(Path file, String model, Calibration calibration) throws IOException {
    GgufWriter writer =
        new GgufWriter()
            .put("general.architecture", GgufType.STRING, ARCHITECTURE)
            .put("basis.version", GgufType.UINT32, VERSION)
            .put("basis.model", GgufType.STRING, model)
            .put("basis.tokens", GgufType.UINT32, calibration.tokens())
            .put("basis.source", GgufType.STRING, calibration.source())
            .putArray(
                "basis.layers",
                GgufType.UINT32,
                calibration.layers().stream().map(LayerBases::layer).toList());
    for (LayerBases layer : calibration.layers()) {
      for (int head = 0; head < layer.bases().size(); head++) {
        add(writer, layer.layer() + "." + head + ".", layer.bases().get(head));
      }
    }
    writer.write(file);
  }

  private static void add(GgufWriter writer, String prefix, SketchBasis basis) {
    List<Byte> bits = new ArrayList<>();
    for (byte b : basis.bits()) {
      bits.add(b);
    }
    writer
        .putArray("basis." + prefix + "bits", GgufType.UINT8, bits)
        .put("basis." + prefix + "tolerance", GgufType.FLOAT32, basis.tolerance());
    add(writer, prefix + "mean", Shape.of(basis.size()), basis.mean());
    add(writer, prefix + "key", Shape.of(basis.size(), basis.channels()), basis.toKey());
    add(writer, prefix + "query", Shape.of(basis.size(), basis.channels()), basis.toQuery());
    add(writer, prefix + "step", Shape.of(basis.channels()), basis.step());
  }

  private static void add(GgufWriter writer, String name, Shape shape, float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    writer.tensor(
        name,
        GgmlTypes.byNumber(0).orElseThrow(),
        shape,
        TensorData.of(MemorySegment.ofArray(bytes.array())));
  }

  /**
   * Reads a file and checks that it is of this model and in every part what it should be.
   *
   * @param model key of the model
   * @param spec what the model's layers remember
   * @throws ModelFormatException if it is of another model, or broken; says what was found
   * @throws dev.jacquard.memory.JacquardException if it cannot be read
   */
  static Calibration read(Path path, String model, KvSpec spec) {
    try (GgufFile file = GgufFile.open(path)) {
      ModelMetadata metadata = file.metadata();
      if (!metadata.architecture().equals(ARCHITECTURE)) {
        throw metadata.fault("general.architecture", ARCHITECTURE, metadata.architecture());
      }
      if (metadata.integer("basis.version") != VERSION) {
        throw metadata.fault(
            "basis.version", "" + VERSION, String.valueOf(metadata.integer("basis.version")));
      }
      if (!metadata.string("basis.model").equals(model)) {
        throw metadata.fault(
            "basis.model", "the key of this model, " + model, metadata.string("basis.model"));
      }
      List<LayerBases> layers = new ArrayList<>();
      int[] numbers = metadata.integers("basis.layers");
      for (int number : numbers) {
        layers.add(read(file, number, spec));
      }
      List<Integer> wanted = new ArrayList<>();
      for (int i = 0; i < spec.layers().size(); i++) {
        if (spec.layers().get(i).window() == 0) {
          wanted.add(i);
        }
      }
      List<Integer> found = layers.stream().map(LayerBases::layer).toList();
      if (!found.equals(wanted)) {
        throw metadata.fault("basis.layers", "layers without a window, " + wanted, "" + found);
      }
      return new Calibration(
          layers, List.of(), metadata.integer("basis.tokens"), metadata.string("basis.source"));
    } catch (InternalError e) { // the JVM's answer when a mapped page is no longer in the file
      throw new ModelFormatException(path, -1, "a file that nobody shortens", "a missing page");
    }
  }

  private static LayerBases read(GgufFile file, int layer, KvSpec spec) {
    if (layer < 0 || layer >= spec.layers().size()) {
      throw file.metadata()
          .fault(
              "basis.layers",
              "layers of the model, 0 to " + (spec.layers().size() - 1),
              "" + layer);
    }
    List<SketchBasis> bases = new ArrayList<>();
    for (int head = 0; head < spec.layers().get(layer).heads(); head++) {
      bases.add(read(file, layer + "." + head + ".", spec.layers().get(layer).keySize()));
    }
    return new LayerBases(layer, bases);
  }

  private static SketchBasis read(GgufFile file, String prefix, int size) {
    String key = "basis." + prefix + "bits";
    int[] stored = file.metadata().integers(key);
    byte[] bits = new byte[stored.length];
    for (int c = 0; c < bits.length; c++) {
      bits[c] = (byte) Math.clamp(stored[c], 0, 8); // the basis refuses 0 and 8
    }
    float[] step = floats(file, prefix + "step", Shape.of(bits.length));
    for (float s : step) {
      if (!(s > 0)) {
        throw new ModelFormatException(file.path(), -1, prefix + "step above 0", "" + s);
      }
    }
    String factor = "basis." + prefix + "tolerance";
    float tolerance = (float) file.metadata().number(factor);
    if (!(tolerance > 0 && tolerance <= Float.MAX_VALUE)) {
      throw file.metadata().fault(factor, "a factor above 0", "" + tolerance);
    }
    Shape matrix = Shape.of(size, bits.length);
    try {
      return new SketchBasis(
          floats(file, prefix + "mean", Shape.of(size)),
          floats(file, prefix + "key", matrix),
          floats(file, prefix + "query", matrix),
          bits,
          step,
          tolerance);
    } catch (IllegalArgumentException e) {
      throw file.metadata().fault(key, "bits of a sketch", String.valueOf(e.getMessage()));
    }
  }

  private static float[] floats(GgufFile file, String name, Shape shape) {
    Tensor tensor =
        file.tensor(name)
            .orElseThrow(
                () -> new ModelFormatException(file.path(), -1, "a tensor " + name, "none"));
    if (!tensor.shape().equals(shape) || !tensor.format().name().equals("F32")) {
      throw new ModelFormatException(
          file.path(),
          -1,
          name + " in F32 of shape " + shape,
          tensor.format().name() + " of shape " + tensor.shape());
    }
    float[] values = new float[(int) shape.elements()];
    for (int row = 0; row < tensor.rows(); row++) {
      tensor.decodeRow(row, values, row * tensor.columns());
    }
    for (float x : values) {
      if (!Float.isFinite(x)) {
        throw new ModelFormatException(file.path(), -1, name + " of finite numbers", "" + x);
      }
    }
    return values;
  }
}
