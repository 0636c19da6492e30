package dev.jacquard.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backends;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VectorBackendProviderTest {
  /** What the child process runs: the best backend of a machine without the vector module. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) {
      try (var backend = Backends.open(args[0], new dev.jacquard.kernels.BackendOptions(1))) {
        System.out.println("opened " + backend.name());
      }
    }
  }

  private static String run(String backend, String... flags) throws IOException {
    var command = new java.util.ArrayList<String>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(java.util.List.of(flags));
    command.addAll(
        java.util.List.of("-cp", System.getProperty("java.class.path"), Child.class.getName()));
    command.add(backend);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    try {
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), output);
      return output;
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void withTheModuleItIsPreferred() {
    VectorBackendProvider provider = new VectorBackendProvider();
    assertEquals(Optional.empty(), provider.refusal());
    assertEquals("vector", Backends.providers().getFirst().name());
  }

  @Test
  void withoutTheModuleTheReferenceServesAndTheFlagIsNamedOnce() throws IOException {
    String output = run(Backends.AUTO);
    assertTrue(output.contains("opened reference"), output);
    assertEquals(2, output.split("--add-modules jdk.incubator.vector", -1).length, output);
  }

  @Test
  void withoutTheModuleAskingForItFailsWithTheFlag() throws IOException {
    String output = run("vector");
    assertTrue(output.contains("BackendException"), output);
    assertTrue(output.contains("--add-modules jdk.incubator.vector"), output);
  }

  @ParameterizedTest
  @ValueSource(ints = {128, 256, 512})
  void aPropertyForcesTheWidth(int bits) {
    try (var backend = Widths.open(bits, 2)) {
      assertTrue(backend.description().contains(bits + " bit"), backend.description());
      assertTrue(backend.description().contains("2 threads"), backend.description());
    }
  }

  @Test
  void aWidthThatDoesNotExistIsAnError() {
    Throwable error = assertThrows(Throwable.class, () -> Widths.open(100, 1));
    while (error.getCause() != null) {
      error = error.getCause();
    }
    assertTrue(
        String.valueOf(error.getMessage()).contains("must be 128, 256 or 512, not 100"),
        error.toString());
  }
}
