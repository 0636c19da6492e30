package dev.jacquard.architecture;

import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Weight;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import java.util.HashMap;
import java.util.Map;

/** The tensors of a file, each required in the shape that the metadata implies. */
final class Weights {
  private final ModelFile file;
  private final Map<String, TensorInfo> infos = new HashMap<>();

  Weights(ModelFile file) {
    this.file = file;
    file.tensors().forEach(info -> infos.put(info.name(), info));
  }

  boolean has(String name) {
    return infos.containsKey(name);
  }

  /**
   * A vector of {@code size} values.
   *
   * @throws ModelFormatException if it is missing, has another shape, or cannot be decoded
   */
  Weight vector(String name, int size) {
    return weight(name, Shape.of(size));
  }

  /**
   * A matrix from {@code inputs} to {@code outputs} values.
   *
   * @throws ModelFormatException if it is missing, has another shape, or cannot be decoded
   */
  Weight matrix(String name, int inputs, int outputs) {
    return weight(name, Shape.of(inputs, outputs));
  }

  /** The matrix {@code name.weight}, with the bias {@code name.bias} if the file has one. */
  Op.Linear linear(String name, int inputs, int outputs) {
    String bias = name + ".bias";
    return new Op.Linear(
        matrix(name + ".weight", inputs, outputs), has(bias) ? vector(bias, outputs) : null);
  }

  private Weight weight(String name, Shape expected) {
    TensorInfo info = infos.get(name);
    if (info == null) {
      throw new ModelFormatException(file.path(), -1, "a tensor " + name, "none");
    }
    if (!info.shape().equals(expected)) {
      throw new ModelFormatException(
          info.file(), info.offset(), name + " to be " + expected, info.shape().toString());
    }
    Tensor tensor = file.tensor(name).orElseThrow();
    return new Weight(name, tensor);
  }
}
