package dev.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class TokenizeCommandTest {
  @Test
  void idsAreOneJsonArray() throws IOException {
    Outcome outcome =
        Outcome.of(
            "tokenize", "--ids", "-f", TestData.resource("reference/text-java.txt").toString());
    int[] ids = new ObjectMapper().readValue(outcome.out(), int[].class);
    int[] expected = TestData.ids(TestData.resource("reference/java-7m.tokens.txt"));
    assertArrayEquals(expected, Arrays.copyOf(ids, expected.length));
  }

  @Test
  void eachTokenHasALineOfItsOwn() {
    Outcome outcome = Outcome.of("tokenize", "--no-bos", "int\tx;\n");
    assertEquals(ExitCode.OK, outcome.code(), outcome.err());
    assertTrue(outcome.out().lines().allMatch(l -> l.matches(" *\\d+ -> '.+'")), outcome.out());
    assertTrue(outcome.out().contains("\\t"), outcome.out());
    assertTrue(outcome.out().contains("\\n"), outcome.out());
  }

  @Test
  void jsonPairsIdsWithPieces() throws IOException {
    JsonNode document =
        new ObjectMapper().readTree(Outcome.of("tokenize", "--json", "--no-bos", "int x").out());
    assertEquals(document.get("ids").size(), document.get("pieces").size());
    StringBuilder text = new StringBuilder();
    document.get("pieces").forEach(piece -> text.append(piece.asText()));
    assertEquals("int x", text.toString());
  }

  @Test
  void bosAndControlTokensAreAddedAndParsedAsAsked() {
    assertEquals("[0]\n", Outcome.of("tokenize", "--ids", "").out());
    assertEquals("[]\n", Outcome.of("tokenize", "--ids", "--no-bos", "").out());
    assertEquals(
        "[0]\n", Outcome.of("tokenize", "--ids", "--no-bos", "--special", "<|endoftext|>").out());
    assertTrue(
        Outcome.of("tokenize", "--ids", "--no-bos", "<|endoftext|>").out().length() > 4);
  }

  @Test
  void aVocabularyWithoutWeightsWillDo() {
    String vocabulary = TestData.shared("tokenizers/ggml-vocab-llama-spm.gguf").toString();
    Outcome outcome = Outcome.of("tokenize", "--ids", "-m", vocabulary, "Hello world");
    assertEquals("[1, 15043, 3186]\n", outcome.out());
  }
}
