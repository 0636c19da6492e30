package dev.jacquard.modelfile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.tensor.Shape;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelVerifierTest {
  private static final int BLOCK_BYTES = 34;

  private final Path folder;

  ModelVerifierTest(@TempDir Path folder) {
    this.folder = folder;
  }

  @Test
  void bundledModelIsSound() {
    try (ModelFile file = ModelFile.open(TestData.bundledModel())) {
      List<Long> progress = new ArrayList<>();
      ModelVerifier.Report report = ModelVerifier.verify(file, progress::add);
      assertEquals(file.tensors().size(), report.verified());
      assertEquals(List.of(), report.faults());
      assertEquals(List.of(), report.skipped());
      assertEquals(progress.stream().sorted().toList(), progress);
      assertEquals(file.tensors().stream().mapToLong(TensorInfo::bytes).sum(), progress.getLast());
    }
  }

  @Test
  void wrongValuesAreCountedAndPlaced() throws IOException {
    float[] values = new float[40 * 1000];
    values[1005] = Float.NaN;
    values[39_000] = Float.NEGATIVE_INFINITY;
    values[39_999] = Float.NaN;
    byte[] blocks = new byte[4 * BLOCK_BYTES];
    blocks[2 * BLOCK_BYTES + 1] = 0x7e; // a half that is NaN as the scale of the third block
    Path path = folder.resolve("wrong.gguf");
    new GgufWriter()
        .tensor("floats", type("F32"), Shape.of(1000, 40), data(MemorySegment.ofArray(values)))
        .tensor("blocks", type("Q8_0"), Shape.of(64, 2), data(MemorySegment.ofArray(blocks)))
        .tensor("fine", type("F32"), Shape.of(4), data(MemorySegment.ofArray(new float[4])))
        .tensor("other", type("I8"), Shape.of(4), data(MemorySegment.ofArray(new byte[4])))
        .write(path);
    try (ModelFile file = ModelFile.open(path)) {
      List<TensorInfo> tensors = file.tensors();
      ModelVerifier.Report report = ModelVerifier.verify(file, _ -> {});
      assertEquals(3, report.verified());
      assertEquals(List.of(tensors.get(3)), report.skipped());
      assertEquals(
          List.of(
              new ModelVerifier.Fault(
                  tensors.get(0), 2, 1, 1005, tensors.get(0).offset() + 4 * 1005),
              new ModelVerifier.Fault(
                  tensors.get(1), 32, 0, 64, tensors.get(1).offset() + 2 * BLOCK_BYTES)),
          report.faults());
      String message = report.faults().getFirst().toString();
      assertTrue(message.contains("floats has 2 NaN and 1 infinite"), message);
      assertTrue(message.contains("row 1, column 5"), message);
    }
  }

  @Test
  void fileShortenedMeanwhileEndsInAnException() throws IOException {
    Path path = folder.resolve("long.gguf");
    new GgufWriter()
        .tensor(
            "a", type("F32"), Shape.of(1 << 20), data(MemorySegment.ofArray(new float[1 << 20])))
        .write(path);
    try (ModelFile file = ModelFile.open(path)) {
      JacquardException fault =
          assertThrows(
              JacquardException.class, () -> ModelVerifier.verify(file, _ -> shorten(path)));
      assertTrue(String.valueOf(fault.getMessage()).contains("shortened"), fault.getMessage());
    }
  }

  private static void shorten(Path path) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.truncate(1000);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static GgufWriter.TensorData data(MemorySegment segment) {
    return GgufWriter.TensorData.of(segment);
  }

  private static GgmlTypes.Type type(String name) {
    return GgmlTypes.all().stream().filter(t -> t.name().equals(name)).findFirst().orElseThrow();
  }
}
