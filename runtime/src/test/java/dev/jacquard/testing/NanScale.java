package dev.jacquard.testing;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** A model whose file is sound in all but one value: the scale of a Q8_0 block is NaN. */
public final class NanScale {
  /** The tensor that holds the block. */
  public static final String TENSOR = "blk.0.ffn_down.weight";

  private static final short NAN = 0x7e00;

  private NanScale() {}

  /** Writes such a model into {@code folder}. */
  public static Path write(Path folder) throws IOException {
    Path model = TestData.resource("architectures/llama.Q8_0.gguf");
    byte[] bytes = Files.readAllBytes(model);
    try (ModelFile file = ModelFile.open(model)) {
      TensorInfo tensor =
          file.tensors().stream().filter(t -> t.name().equals(TENSOR)).findFirst().orElseThrow();
      if (!tensor.type().equals("Q8_0")) {
        throw new AssertionError(tensor);
      }
      ByteBuffer.wrap(bytes)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putShort(Math.toIntExact(tensor.offset()), NAN);
    }
    return Files.write(folder.resolve("nan-scale.gguf"), bytes);
  }
}
