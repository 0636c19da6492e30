package dev.jacquard.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.jacquard.testing.GemmaModel;
import dev.jacquard.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The ids that llama.cpp and the original tokenizers give. */
class ReferenceIdsTest {
  @ParameterizedTest
  @ValueSource(strings = {"gpt-2", "llama-spm"})
  void allCasesOfLlamaCpp(String name) throws IOException {
    Path vocabulary = TestData.shared("tokenizers/ggml-vocab-" + name + ".gguf");
    Tokenizer tokenizer = TestVocabularies.open(vocabulary);
    String[] texts =
        Files.readString(vocabulary.resolveSibling(vocabulary.getFileName() + ".inp"))
            .split("\n__ggml_vocab_test__\n", -1);
    List<String> expected =
        TestData.lines(vocabulary.resolveSibling(vocabulary.getFileName() + ".out"));
    assertEquals(46, expected.size());
    for (int i = 0; i < expected.size(); i++) {
      int[] ids = tokenizer.encode(texts[i], Tokenizer.Options.PLAIN);
      assertArrayEquals(numbers(expected.get(i)), ids, "case " + i + ": " + texts[i]);
      assertEquals(texts[i], tokenizer.decode(ids));
    }
  }

  @Test
  void bundledModel() throws IOException {
    Tokenizer tokenizer = TestVocabularies.open(TestData.bundledModel());
    assertBeginsWith(
        tokenizer, TestData.resource("reference/java-7m.tokens.txt"), 160, "text-java.txt");
    assertEquals(Set.of(0), tokenizer.endOfGeneration());
  }

  @Test
  void gemma() throws IOException {
    Tokenizer tokenizer = TestVocabularies.open(GemmaModel.file());
    assertBeginsWith(
        tokenizer,
        TestData.resource("reference/gemma-3-270m.java.tokens.txt"),
        512,
        "text-java.txt");
    assertBeginsWith(
        tokenizer,
        TestData.resource("reference/gemma-3-270m.long.tokens.txt"),
        1536,
        "text-perplexity.txt");
    // <eos>, <end_of_turn>, and [PAD]-like tokens it does not have
    assertEquals(Set.of(1, 106, 212), tokenizer.endOfGeneration());
  }

  @ParameterizedTest
  @CsvSource({"llama,bpe", "llama-bias,bpe", "gemma3,spm", "gemma3-wide.Q4_K_M,spm"})
  void tinyModels(String model, String vocabulary) throws IOException {
    Tokenizer tokenizer =
        TestVocabularies.open(TestData.resource("architectures/" + model + ".gguf"));
    String text = Files.readString(TestData.resource("architectures/text.txt"));
    int[] expected = TestData.ids(TestData.resource("architectures/text." + vocabulary + ".txt"));
    assertArrayEquals(expected, tokenizer.encode(text, Tokenizer.Options.DEFAULT));
    int[] beginning =
        TestData.ids(
            TestData.resource("architectures/" + model.replaceFirst("\\..*", "") + ".tokens.txt"));
    assertArrayEquals(Arrays.copyOf(expected, 80), beginning);
    assertEquals(text, tokenizer.decode(expected));
  }

  private static void assertBeginsWith(Tokenizer tokenizer, Path ids, int count, String textName)
      throws IOException {
    int[] expected = TestData.ids(ids);
    assertEquals(count, expected.length);
    String text = Files.readString(TestData.resource("reference/" + textName));
    int[] found = tokenizer.encode(text, Tokenizer.Options.DEFAULT);
    assertArrayEquals(expected, Arrays.copyOf(found, count));
    assertEquals(text, tokenizer.decode(found));
  }

  private static int[] numbers(String line) {
    return Arrays.stream(line.split(" "))
        .filter(word -> !word.isEmpty())
        .mapToInt(Integer::parseInt)
        .toArray();
  }
}
