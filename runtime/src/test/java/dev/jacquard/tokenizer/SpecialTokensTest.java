package dev.jacquard.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.testing.TestData;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Control tokens come from the caller, never from a user's text. */
class SpecialTokensTest {
  private static final Tokenizer.Options PARSE = new Tokenizer.Options(false, true);

  @Test
  void textNeverBecomesControlToken() {
    for (Tokenizer tokenizer :
        List.of(
            TestVocabularies.of(TestVocabularies.bpe()),
            TestVocabularies.of(TestVocabularies.sentencePiece()),
            TestVocabularies.open(TestData.bundledModel()),
            TestVocabularies.open(TestData.resource("architectures/llama.gguf")),
            TestVocabularies.open(TestData.resource("architectures/gemma3.gguf")))) {
      int controls = 0;
      for (int token = 0; token < tokenizer.size(); token++) {
        if (tokenizer.isControl(token)) {
          controls++;
          String text = tokenizer.spelling(token);
          int[] plain = tokenizer.encode("a" + text + "b", Tokenizer.Options.PLAIN);
          assertFalse(Arrays.stream(plain).anyMatch(tokenizer::isControl), text);
          assertEquals("a" + text + "b", tokenizer.decode(plain));
          int id = token;
          int[] parsed = tokenizer.encode("a" + text + "b", PARSE);
          assertTrue(Arrays.stream(parsed).anyMatch(found -> found == id), text);
          assertEquals(0, tokenizer.bytes(token).length);
        }
      }
      assertTrue(controls > 0);
    }
  }

  @Test
  void sentencePieceJoinsNoControlToken() {
    Tokenizer tokenizer = TestVocabularies.of(TestVocabularies.sentencePiece());
    // "<s" and ">" would join to <s>, which is token 1.
    assertArrayEquals(new int[] {259, 268, 267}, tokenizer.encode("<s>", Tokenizer.Options.PLAIN));
    assertArrayEquals(new int[] {1}, tokenizer.encode("<s>", PARSE));
    assertArrayEquals(new int[] {0}, tokenizer.encode("<unk>", PARSE));
    // Nor does the spelling of a byte token become that byte.
    assertEquals("<0x41>", tokenizer.decode(tokenizer.encode("<0x41>", Tokenizer.Options.PLAIN)));
  }

  @Test
  void bpeMergesNoControlToken() {
    Map<String, Object> values = TestVocabularies.bpe();
    // "hello" is made a control token; it is what the last merge gives.
    int[] types = TestVocabularies.metadata(values).integers("tokenizer.ggml.token_type").clone();
    types[259] = 3;
    values.put("tokenizer.ggml.token_type", types);
    Tokenizer tokenizer = TestVocabularies.of(values);
    assertArrayEquals(new int[] {258, 'o'}, tokenizer.encode("hello", Tokenizer.Options.PLAIN));
    assertArrayEquals(new int[] {259}, tokenizer.encode("hello", PARSE));
  }

  @Test
  void endSpellingsAreControlTokens() {
    Map<String, Object> values = TestVocabularies.bpe();
    values.remove("tokenizer.ggml.token_type");
    Tokenizer tokenizer = TestVocabularies.of(values);
    assertTrue(tokenizer.isControl(261));
    assertFalse(tokenizer.isControl(260));
  }

  @Test
  void userDefinedTokensAreAlwaysSplitOut() {
    Tokenizer bpe = TestVocabularies.of(TestVocabularies.bpe());
    assertArrayEquals(
        new int[] {'a', 262, 259, 263, 'b'},
        bpe.encode("a<tag>hello<tag>>b", Tokenizer.Options.PLAIN));
    Tokenizer sentencePiece = TestVocabularies.of(TestVocabularies.sentencePiece());
    assertArrayEquals(
        new int[] {264, 269, 264}, sentencePiece.encode("ab<tag>ab", Tokenizer.Options.PLAIN));
  }

  @Test
  void bosAndEosWhereTheFileAsks() {
    Map<String, Object> values = TestVocabularies.bpe();
    assertArrayEquals(
        new int[] {260, 259},
        TestVocabularies.of(values).encode("hello", Tokenizer.Options.DEFAULT));
    values.put("tokenizer.ggml.add_bos_token", false);
    values.put("tokenizer.ggml.add_eos_token", true);
    assertArrayEquals(
        new int[] {259, 261},
        TestVocabularies.of(values).encode("hello", Tokenizer.Options.DEFAULT));
    values.remove("tokenizer.ggml.add_bos_token");
    values.remove("tokenizer.ggml.add_eos_token");
    assertArrayEquals(
        new int[] {259}, TestVocabularies.of(values).encode("hello", Tokenizer.Options.DEFAULT));
    assertArrayEquals(
        new int[] {1, 264},
        TestVocabularies.of(TestVocabularies.sentencePiece())
            .encode("ab", Tokenizer.Options.DEFAULT));
  }

  @Test
  void endOfGeneration() {
    Map<String, Object> values = TestVocabularies.bpe();
    values.put("tokenizer.ggml.eos_token_id", 260L);
    values.put("tokenizer.ggml.eot_token_id", 5L);
    values.put("tokenizer.ggml.eom_token_id", 6L);
    assertEquals(Set.of(5, 6, 260, 261), TestVocabularies.of(values).endOfGeneration());
    assertEquals(260, TestVocabularies.of(values).eos());
    String[] tokens = TestVocabularies.tokens(values);
    tokens[7] = "<|return|>";
    tokens[8] = "<|call|>";
    tokens[9] = "<|end|>";
    values.put("tokenizer.ggml.tokens", tokens);
    values.put("tokenizer.ggml.unknown_token_id", 0L);
    assertEquals(Set.of(5, 6, 7, 8, 260, 261), TestVocabularies.of(values).endOfGeneration());
  }

  @Test
  void idsOutsideTheVocabulary() {
    Tokenizer tokenizer = TestVocabularies.of(TestVocabularies.bpe());
    for (int id : new int[] {-1, tokenizer.size()}) {
      assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.bytes(id));
      assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.spelling(id));
      assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.isControl(id));
      assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.decode(id));
    }
  }
}
