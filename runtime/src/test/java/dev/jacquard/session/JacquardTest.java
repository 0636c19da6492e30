package dev.jacquard.session;

import static dev.jacquard.session.TestModels.OPTIONS;
import static dev.jacquard.session.TestModels.read;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.memory.AvailableMemory;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.modelfile.GgufFile;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Opening models, and the bundled one from text to text. */
@Timeout(120)
final class JacquardTest {
  private static String message(Class<? extends Throwable> type, Path file, ModelOptions options) {
    return String.valueOf(
        assertThrows(type, () -> Jacquard.open(file, options).close()).getMessage());
  }

  @Test
  void theBundledModelContinuesAsTheReferenceDoes() {
    int[] prompt =
        Arrays.copyOf(TestData.ids(TestData.resource("reference/java-7m.tokens.txt")), 32);
    List<String> expected = TestData.lines(TestData.resource("reference/java-7m.Q8_0.greedy.txt"));
    assertEquals(96, expected.size());
    try (Model model = Jacquard.open(TestData.bundledModel(), OPTIONS);
        Session session = model.newSession()) {
      for (String line : expected) {
        int space = line.indexOf(' ');
        int id = Integer.parseInt(line.substring(0, space));
        double lead = Double.parseDouble(line.substring(space + 1));
        int chosen = read(session.generate(TestModels.greedy(1, prompt))).ids().getFirst();
        if (lead >= 0.05) {
          assertEquals(id, chosen, () -> "at position " + (session.position() - 1));
        } else {
          session.rewind(session.position() - 1);
          session.evaluate(new int[] {id}, 0, (position, logits) -> {});
        }
        prompt = new int[0];
      }
      assertEquals(32 + 96, session.position());
    }
  }

  @Test
  void anUnknownArchitectureIsNamedWithTheKnownOnes(@TempDir Path folder) throws IOException {
    String message =
        message(
            ModelFormatException.class,
            rename(folder, "architectures/llama.gguf", "llama", "lxama"),
            OPTIONS);
    assertTrue(message.contains("lxama") && message.contains("[gemma3, llama]"), message);
  }

  @Test
  void aMissingFileIsNamed(@TempDir Path folder) {
    Path missing = folder.resolve("missing.gguf");
    String message = message(JacquardException.class, missing, OPTIONS);
    assertTrue(message.contains("missing.gguf"), message);
  }

  @Test
  void anUnknownBackendIsNamedWithTheKnownOnes() {
    Path file = TestData.resource("architectures/llama.gguf");
    String message = message(BackendException.class, file, OPTIONS.withBackend("abacus"));
    assertTrue(message.contains("abacus") && message.contains("reference"), message);
  }

  @Test
  void tooLittleMemoryIsSaidBeforeAnyBackendIsOpened() {
    AtomicBoolean opened = new AtomicBoolean();
    ModelFile file = GgufFile.open(TestData.resource("architectures/llama.gguf"));
    JacquardException refused =
        assertThrows(
            JacquardException.class,
            () ->
                Jacquard.load(
                    file,
                    OPTIONS.withContext(1 << 30),
                    () -> {
                      opened.set(true);
                      return TestModels.reference();
                    }));
    String message = String.valueOf(refused.getMessage());
    assertTrue(message.contains("too little memory"), message);
    assertTrue(message.contains("less context"), message);
    assertTrue(message.contains(AvailableMemory.now().source()), message);
    assertEquals(false, opened.get());
    assertThrows(RuntimeException.class, () -> file.tensor("output.weight")); // it was closed
  }

  @Test
  void whatWasOpenedIsClosedWhenALaterStepFails() {
    ModelFile file = GgufFile.open(TestData.resource("architectures/llama.gguf"));
    WatchedBackend backend = new WatchedBackend(TestModels.reference());
    backend.refuseToCompile = true;
    assertThrows(BackendException.class, () -> Jacquard.load(file, OPTIONS, () -> backend));
    assertTrue(backend.closed);
    assertThrows(RuntimeException.class, () -> file.tensor("output.weight"));
  }

  @Test
  void estimatesMemoryFromTheProgram() {
    try (Model model = TestModels.open("llama", OPTIONS)) {
      MemoryEstimate estimate = MemoryEstimate.of(model.program(), 256, 16, KvFormat.F16);
      long tensors = model.file().tensors().stream().mapToLong(t -> t.bytes()).sum();
      assertEquals(tensors, estimate.weights());
      assertEquals(256 * model.program().kv().readBytes(0, KvFormat.F16), estimate.kv());
      MemoryEstimate twice = MemoryEstimate.of(model.program(), 512, 32, KvFormat.F32);
      assertEquals(4 * estimate.kv(), twice.kv());
      assertEquals(2 * estimate.activations(), twice.activations());
      assertEquals(estimate.weights() + estimate.kv() + estimate.activations(), estimate.total());
    }
  }

  @Test
  void logitsOfAStepStayWithinTheirMemory() {
    assertEquals(512, MemoryEstimate.maxOutputs(32_000, 512));
    assertEquals(64, MemoryEstimate.maxOutputs(262_144, 512));
    assertEquals(1, MemoryEstimate.maxOutputs(1 << 30, 512));
  }

  /** A copy of a file in which an architecture's name was replaced by one of the same length. */
  private static Path rename(Path folder, String resource, String from, String to)
      throws IOException {
    String text = Files.readString(TestData.resource(resource), StandardCharsets.ISO_8859_1);
    int end = text.indexOf("tokenizer.ggml.tokens");
    return Files.writeString(
        folder.resolve("renamed.gguf"),
        text.substring(0, end).replace(from, to) + text.substring(end),
        StandardCharsets.ISO_8859_1);
  }
}
