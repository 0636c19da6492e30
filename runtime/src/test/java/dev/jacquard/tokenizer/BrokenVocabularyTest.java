package dev.jacquard.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.modelfile.ModelFormatException;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files whose vocabulary contradicts itself are refused, with a message that says where. */
class BrokenVocabularyTest {
  private static final String PREFIX = "tokenizer.ggml.";

  private static void assertFault(Map<String, Object> values, String... parts) {
    String message =
        assertThrows(ModelFormatException.class, () -> TestVocabularies.of(values)).toString();
    for (String part : parts) {
      assertTrue(message.contains(part), message);
    }
  }

  private static void assertFault(
      Map<String, Object> valid, String key, Object value, String... parts) {
    assertTrue(TestVocabularies.of(valid).size() > 0);
    valid.put(PREFIX + key, value);
    assertFault(valid, parts);
  }

  private static void assertMissing(Map<String, Object> valid, String key) {
    valid.remove(PREFIX + key);
    assertFault(valid, PREFIX + key, "no such key");
  }

  @Test
  void unknownKind() {
    assertFault(TestVocabularies.bpe(), "model", "rwkv", "gpt2", "llama", "\"rwkv\"");
    assertMissing(TestVocabularies.bpe(), "model");
  }

  @Test
  void unknownPreTokenizer() {
    assertFault(TestVocabularies.bpe(), "pre", "llama-bpe", "gpt-2", "default", "\"llama-bpe\"");
    Map<String, Object> unnamed = TestVocabularies.bpe();
    unnamed.remove(PREFIX + "pre");
    assertEquals(
        3, TestVocabularies.of(unnamed).encode("1234", Tokenizer.Options.PLAIN).length - 1);
  }

  @Test
  void missingLists() {
    assertMissing(TestVocabularies.bpe(), "tokens");
    assertMissing(TestVocabularies.bpe(), "merges");
    assertMissing(TestVocabularies.sentencePiece(), "scores");
    assertMissing(TestVocabularies.sentencePiece(), "token_type");
    assertFault(TestVocabularies.bpe(), "tokens", new String[0], "at least one token", "none");
    assertFault(TestVocabularies.bpe(), "tokens", 7L, "an array of strings");
  }

  @Test
  void lengthsDiffer() {
    assertFault(TestVocabularies.bpe(), "token_type", new int[263], "264 tokens", "263");
    assertFault(TestVocabularies.sentencePiece(), "scores", new float[271], "270 tokens", "271");
  }

  @Test
  void duplicateTokens() {
    Map<String, Object> values = TestVocabularies.bpe();
    String[] tokens = TestVocabularies.tokens(values);
    tokens[263] = "he";
    assertFault(values, "tokens", tokens, "tokens 256 and 263", "\"he\"");
  }

  @Test
  void emptyTokensAreAllowed() {
    Map<String, Object> values = TestVocabularies.bpe();
    String[] tokens = TestVocabularies.tokens(values);
    tokens[262] = "";
    tokens[263] = "";
    values.put(PREFIX + "tokens", tokens);
    Tokenizer tokenizer = TestVocabularies.of(values);
    assertArrayEquals(new int[] {259}, tokenizer.encode("hello", Tokenizer.Options.PLAIN));
    assertEquals("", tokenizer.decode(262, 263));
  }

  @Test
  void types() {
    int[] types = new int[264];
    Arrays.fill(types, 1);
    types[17] = 9;
    assertFault(TestVocabularies.bpe(), "token_type", types, "type 9 of token 17");
  }

  @ParameterizedTest
  @CsvSource({"bos", "eos", "eot", "eom", "unknown", "fim_pad", "fim_rep", "fim_sep"})
  void idsOutOfRange(String role) {
    assertFault(TestVocabularies.bpe(), role + "_token_id", 264L, role, "264 tokens");
    assertFault(TestVocabularies.bpe(), role + "_token_id", -1L, role, "-1");
    assertFault(TestVocabularies.sentencePiece(), role + "_token_id", 0xFFFFFFFFL, role);
  }

  @Test
  void tokenToAddIsMissing() {
    Map<String, Object> values = TestVocabularies.bpe();
    values.remove(PREFIX + "bos_token_id");
    assertFault(values, "bos_token_id", "to be added");
    values.put(PREFIX + "add_bos_token", false);
    assertEquals(-1, TestVocabularies.of(values).bos());
  }

  @Test
  void merges() {
    assertFault(TestVocabularies.bpe(), "merges", new String[] {"h e", "he"}, "merge 1 \"he\"");
    assertFault(TestVocabularies.bpe(), "merges", new String[] {"zz e"}, "merge 0 \"zz e\"");
    assertFault(TestVocabularies.bpe(), "merges", new String[] {"h l"}, "merge 0 \"h l\"");
    assertFault(TestVocabularies.bpe(), "merges", new String[] {""}, "merge 0 \"\"");
  }

  @Test
  void bytesWithoutToken() {
    Map<String, Object> bpe = TestVocabularies.bpe();
    String[] tokens = TestVocabularies.tokens(bpe);
    tokens['x'] = "no-x";
    assertFault(bpe, "tokens", tokens, "byte 120", "'x'");
    bpe.put(PREFIX + "unknown_token_id", 0L);
    assertArrayEquals(
        new int[] {0, 'y'}, TestVocabularies.of(bpe).encode("xy", Tokenizer.Options.PLAIN));

    Map<String, Object> pieces = TestVocabularies.sentencePiece();
    tokens = TestVocabularies.tokens(pieces);
    tokens[3 + 'x'] = "<0xZZ>";
    assertFault(pieces, "tokens", tokens, "<0xAB>", "\"<0xZZ>\"");
  }

  @Test
  void scores() {
    float[] scores = new float[270];
    scores[261] = Float.NaN;
    assertFault(TestVocabularies.sentencePiece(), "scores", scores, "NaN for token 261");
  }
}
