package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.memory.MappedFile;
import dev.jacquard.tensor.ElementFormats;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PackedCacheTest {
  private final WorkerPool pool = new WorkerPool(2);
  private final List<Double> progress = new ArrayList<>();
  private final List<Weight> weights = new ArrayList<>();
  private final Path folder;

  PackedCacheTest(@TempDir Path folder) {
    this.folder = folder;
    for (String format : List.of("Q8_0", "Q4_0", "F32")) {
      MatrixCase c = MatrixCase.of(ElementFormats.byName(format).orElseThrow(), 45, 96, 1, 7);
      weights.add(new Weight("blk.0." + format + ".weight", c.tensor()));
    }
  }

  @AfterEach
  void stop() {
    pool.close();
  }

  @Test
  void aWrittenFileHoldsWhatPackingInMemoryGives() throws IOException {
    PackingPlan plan = PackingPlan.of(weights);
    Path path = folder.resolve("deeper").resolve("model.packed");
    write(path, plan);
    assertEquals(1.0, progress.getLast(), 0.01);
    try (MappedFile file = PackedCache.open(path, plan)) {
      assertNotNull(file);
      for (PackingPlan.Entry entry : plan.entries()) {
        byte[] expected =
            MatrixCase.pack(entry.weight().tensor()).data.toArray(ValueLayout.JAVA_BYTE);
        MemorySegment region = PackedCache.region(file, plan);
        byte[] actual =
            region.asSlice(entry.offset(), entry.bytes()).toArray(ValueLayout.JAVA_BYTE);
        assertArrayEquals(expected, actual, entry.weight().name());
      }
    }
    try (var files = Files.list(path.getParent())) {
      assertEquals(List.of(path), files.toList(), "nothing else is left");
    }
  }

  @Test
  void aFileOfOtherWeightsOrOfAnotherLengthIsNotUsed() throws IOException {
    PackingPlan plan = PackingPlan.of(weights);
    Path path = folder.resolve("model.packed");
    assertNull(PackedCache.open(path, plan), "there is no file yet");
    write(path, plan);
    assertNull(PackedCache.open(path, PackingPlan.of(weights.subList(0, 2))));
    List<Weight> renamed = new ArrayList<>(weights);
    renamed.set(0, new Weight("other", weights.getFirst().tensor()));
    assertNull(PackedCache.open(path, PackingPlan.of(renamed)));
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.truncate(channel.size() - 1);
    }
    assertNull(PackedCache.open(path, plan));
    Files.writeString(path, "");
    assertNull(PackedCache.open(path, plan));
    write(path, plan);
    try (MappedFile file = PackedCache.open(path, plan)) {
      assertNotNull(file, "written anew");
    }
  }

  private void write(Path path, PackingPlan plan) {
    try (MappedFile written = PackedCache.write(path, plan, pool, progress::add)) {
      assertNotNull(written);
    }
  }

  @Test
  void aDiskThatTakesNothingIsNoFailure() throws IOException {
    Path occupied = Files.createFile(folder.resolve("a-file"));
    assertNull(
        PackedCache.write(
            occupied.resolve("model.packed"), PackingPlan.of(weights), pool, progress::add));
  }

  @Test
  void smallModelsArePackedInMemoryEachTime() {
    Path path = folder.resolve("model.packed");
    CompileOptions options = new CompileOptions(4, 1, path, progress::add);
    List<Weight> twice = new ArrayList<>(weights);
    twice.addAll(weights);
    PackedMatrices matrices = PackedMatrices.pack(twice, List.of(), options, pool);
    assertEquals(45, matrices.get(weights.getFirst()).rows());
    assertTrue(matrices.bytes() < 64 << 20);
    matrices.close();
    matrices.close();
    assertTrue(Files.notExists(path));
    assertEquals(1.0, progress.getLast());
  }

  @Test
  void largeModelsUseTheFile() throws IOException {
    Path path = folder.resolve("model.packed");
    MatrixCase c = MatrixCase.of(ElementFormats.byName("F32").orElseThrow(), 4100, 4096, 1, 8);
    List<Weight> large = List.of(new Weight("large", c.tensor()));
    CompileOptions options = new CompileOptions(4, 1, path, progress::add);
    float[] expected = c.multiply(1);
    for (int time = 0; time < 2; time++) {
      try (PackedMatrices matrices = PackedMatrices.pack(large, List.of(), options, pool)) {
        float[] out = new float[4100];
        PackedMatrix matrix = matrices.get(large.getFirst());
        matrix.multiply(c.activations(1), 0, matrix.tiles(), out, 0, 4100);
        assertArrayEquals(expected, out);
        matrices.requireIntact();
      }
      assertTrue(Files.exists(path));
    }
    try (PackedMatrices matrices = PackedMatrices.pack(large, List.of(), options, pool);
        FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.truncate(channel.size() - 1);
      assertThrows(JacquardException.class, matrices::requireIntact);
    }
  }
}
