package dev.jacquard.kernels.reference;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Program;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import dev.jacquard.kernels.Weight;
import dev.jacquard.memory.MappedFile;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** A model file that somebody shortens while it is used. Windows does not let them. */
@EnabledOnOs({OS.LINUX, OS.MAC})
class LostPagesTest {
  private static final int SIZE = 512;

  @Test
  void aShortenedFileIsAnExceptionAndTheBackendGoesOn(@TempDir Path folder) throws IOException {
    Path path = folder.resolve("weights");
    Files.write(path, new byte[SIZE * SIZE * Float.BYTES]);
    try (MappedFile file = MappedFile.open(path);
        ReferenceBackend backend = new ReferenceBackend(new BackendOptions(2))) {
      Tensor tensor = new Tensor(F32.INSTANCE, Shape.of(SIZE, SIZE), file.segment());
      Slot x = new Slot("x", SIZE, Slot.Domain.ALL);
      Slot y = new Slot("y", SIZE, Slot.Domain.ALL);
      Weight weight = new Weight("w", tensor);
      Op.Projection projection = new Op.Projection(new Op.Linear(weight, null), y);
      Program program =
          new Program(
              List.of(new Op.Embed(weight, 1, x), new Op.MatMul(x, List.of(projection))),
              new KvSpec(List.of()),
              y);
      StepInputs inputs = new StepInputs(1, 0);
      inputs.addRow(inputs.addSequence(), 0, 0, true);
      try (Executable executable = backend.compile(program, CompileOptions.of(1, 1));
          KvStorage kv = backend.allocateKv(program.kv(), KvFormat.F32)) {
        executable.run(inputs, kv, null);
        resize(path, 4096);
        BackendException e =
            assertThrows(BackendException.class, () -> executable.run(inputs, kv, null));
        assertTrue(e.getCause() instanceof InternalError);
        Files.write(path, new byte[SIZE * SIZE * Float.BYTES], StandardOpenOption.WRITE);
        executable.run(inputs, kv, null);
      }
    }
  }

  private static void resize(Path path, long bytes) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.truncate(bytes);
    }
  }
}
