package dev.jacquard.evaluation.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.kernels.Exactness;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvView;
import dev.jacquard.modelfile.ModelFormatException;
import dev.jacquard.testing.TestData;
import dev.jacquard.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TraceTest {
  private static final int TOKENS = 80;
  private static final int QUERIES = 5;
  private static final int TILED = 300;

  @TempDir private Path folder = Path.of("");

  /**
   * Keys and values of the first layer follow from token and position alone, so a text that repeats
   * tokens as the trace does must give what the trace says.
   */
  @Test
  void tiledKeysAreThoseComputedAtTheirPosition() throws IOException {
    Path file = folder.resolve("heads.trace");
    try (AttentionLab lab =
        AttentionLab.open(TestData.bundledModel(), "reference", 2, 64, KvFormat.F16, _ -> {})) {
      String sources = Files.readString(TestData.resource("reference/text-java.txt"));
      int[] text = lab.tokenizer().encode(sources, Tokenizer.Options.DEFAULT);
      TraceRecorder.record(lab, text, TOKENS, QUERIES, file, (_, _) -> {});
      try (Trace trace = Trace.open(file)) {
        assertEquals(lab.layers().size(), trace.layers().size());
        assertEquals(TOKENS, trace.tokens());
        assertEquals(QUERIES, trace.queries());
        int[] tiled = new int[TILED];
        for (int i = 0; i < TILED; i++) {
          tiled[i] = text[trace.source(i, TILED)];
        }
        for (int i = 1; i <= TOKENS - Trace.SINKS; i++) {
          assertEquals(TOKENS - i, trace.source(TILED - i, TILED), "the end stands at the end");
        }
        compareFirstLayer(lab, trace, tiled);
      }
    }
  }

  private static void compareFirstLayer(AttentionLab lab, Trace trace, int[] tiled) {
    try (KvSequence sequence = lab.newSequence()) {
      lab.prefill(sequence, tiled, TILED, _ -> {});
      // One more token, so that the view names all pages.
      lab.decode(sequence, tiled[0], Exactness.DENSE, null, new float[lab.vocabulary()]);
      KvView view = lab.inputs().view(0, 0);
      int size = trace.layers().getFirst().kv().keySize();
      int width = size * trace.layers().getFirst().kv().heads();
      float[] recorded = new float[width];
      float[] value = new float[width];
      float[] computed = new float[size];
      for (int position = 0; position < TILED; position++) {
        trace.key(0, position, TILED, recorded);
        trace.value(0, position, TILED, value);
        int page = view.page(position / 16);
        for (int h = 0; h < width / size; h++) {
          lab.storage().readKey(0, page, position % 16, h, computed, 0);
          for (int c = 0; c < size; c++) {
            // Two roundings to half precision of numbers up to the length of a turned pair.
            assertEquals(computed[c], recorded[h * size + c], 2e-2, "position " + position);
          }
          lab.storage().readValue(0, page, position % 16, h, computed, 0);
          for (int c = 0; c < size; c++) {
            assertEquals(computed[c], value[h * size + c], 0f);
          }
        }
      }
    }
  }

  @Test
  void otherFilesAreNoTraces() {
    ModelFormatException e =
        assertThrows(ModelFormatException.class, () -> Trace.open(TestData.bundledModel()));
    assertTrue(String.valueOf(e.getMessage()).contains("attention-trace"), e.getMessage());
  }
}
