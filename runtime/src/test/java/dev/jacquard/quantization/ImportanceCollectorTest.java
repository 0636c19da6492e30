package dev.jacquard.quantization;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.kernels.Backend;
import dev.jacquard.kernels.BackendOptions;
import dev.jacquard.kernels.Backends;
import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.quantization.ImportanceMatrix.Entry;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Objects;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImportanceCollectorTest {
  /** Tokens of a piece. */
  private static final int LENGTH = 64;

  private static ImportanceMatrix collect(String model, String backend, int rows, boolean output)
      throws IOException {
    String text =
        Files.readString(TestData.resource("reference/text-perplexity.txt")).substring(0, 6000);
    try (ModelFile file = ModelFile.open(TestData.resource("architectures/" + model + ".gguf"));
        Backend opened = Backends.open(backend, new BackendOptions(1));
        ExaminedModel examined = new ExaminedModel(file, opened, rows, share -> {})) {
      return new ImportanceCollector(examined, output)
          .collect(ExaminedModel.pieces(file, text, LENGTH), List.of("a text"), share -> {});
    }
  }

  /**
   * What llama-imatrix measures (commit 3f545bec: {@code -c 64 -ub 64 --process-output} on the same
   * text). It keeps keys and values in half precision, hence the tolerance.
   */
  @ParameterizedTest
  @CsvSource({"llama, vector, 64", "llama, reference, 10", "gemma3, vector, 17"})
  void measuresWhatLlamaImatrixDoes(String model, String backend, int rows) throws IOException {
    ImportanceMatrix expected =
        ImportanceMatrix.read(TestData.resource("imatrix/" + model + ".imatrix.gguf"));
    ImportanceMatrix found = collect(model, backend, rows, true);
    assertEquals(expected.chunks(), found.chunks());
    assertEquals(LENGTH, found.chunkSize());
    TreeSet<String> names = new TreeSet<>(found.entries().keySet());
    names.remove("token_embd.weight"); // as an output matrix, which llama-imatrix does not know
    assertEquals(expected.entries().keySet(), names);
    for (String name : names) {
      Entry e = Objects.requireNonNull(expected.entries().get(name));
      Entry f = Objects.requireNonNull(found.entries().get(name));
      assertEquals(e.counts()[0], f.counts()[0], name);
      double difference = 0;
      double sum = 0;
      for (int i = 0; i < e.squares().length; i++) {
        difference += Math.abs((double) e.squares()[i] - f.squares()[i]);
        sum += e.squares()[i];
      }
      assertTrue(difference < 5e-4 * sum, name + ": " + difference / sum);
    }
  }

  @Test
  void theOutputMatrixIsLeftOut() throws IOException {
    assertEquals(14, collect("llama", "vector", 64, false).entries().size());
  }

  @Test
  void aTextThatFillsNoPieceIsRefused() {
    try (ModelFile file = ModelFile.open(TestData.resource("architectures/llama.gguf"))) {
      QuantizationException e =
          assertThrows(
              QuantizationException.class, () -> ExaminedModel.pieces(file, "too short", LENGTH));
      assertTrue(e.toString().contains("give a longer text"), e.toString());
    }
  }
}
