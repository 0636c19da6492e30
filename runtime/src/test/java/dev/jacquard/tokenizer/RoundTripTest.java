package dev.jacquard.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jacquard.testing.TestData;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What is encoded comes back, and how much work that is. */
class RoundTripTest {
  private static List<Tokenizer> tokenizers() {
    return List.of(
        TestVocabularies.of(TestVocabularies.bpe()),
        TestVocabularies.of(TestVocabularies.sentencePiece()),
        TestVocabularies.open(TestData.bundledModel()),
        TestVocabularies.open(TestData.resource("architectures/gemma3.gguf")));
  }

  @Test
  void anyTextComesBack() {
    for (Tokenizer tokenizer : tokenizers()) {
      Random random = new Random(1);
      for (int i = 0; i < 1000; i++) {
        // ▁ is the one character that SentencePiece cannot keep: it spells a space.
        String text = RandomTexts.next(random).replace('▁', '?');
        for (Tokenizer.Options options :
            List.of(Tokenizer.Options.DEFAULT, Tokenizer.Options.PLAIN)) {
          int[] ids = tokenizer.encode(text, options);
          assertEquals(text, tokenizer.decode(ids), tokenizer.kind());
        }
      }
    }
  }

  @Test
  void loneSurrogatesAreReplaced() {
    for (Tokenizer tokenizer : tokenizers()) {
      String text = "a\ud83db\ude42\ud83d\ude42\ud83d";
      assertEquals(
          "a\ufffdb\ufffd\ud83d\ude42\ufffd",
          tokenizer.decode(tokenizer.encode(text, Tokenizer.Options.DEFAULT)));
    }
  }

  @Test
  void emptyText() {
    for (Tokenizer tokenizer : tokenizers()) {
      assertArrayEquals(
          new int[] {tokenizer.bos()}, tokenizer.encode("", Tokenizer.Options.DEFAULT));
      assertArrayEquals(new int[0], tokenizer.encode("", Tokenizer.Options.PLAIN));
      assertEquals("", tokenizer.decode());
    }
  }

  /** n symbols must cost no more than 3n candidates, however long the line is. */
  @Test
  void workIsLinear() {
    List<String> patterns = List.of("a", "ab", "hello", "the quick ", " ", "é", "🙂");
    for (Tokenizer tokenizer : tokenizers()) {
      for (String pattern : patterns) {
        String line = pattern.repeat(200_000 / pattern.length());
        MergeQueue queue = new MergeQueue();
        int[] ids = ((VocabularyTokenizer) tokenizer).encode(line, Tokenizer.Options.PLAIN, queue);
        int bytes = line.getBytes(StandardCharsets.UTF_8).length;
        assertTrue(
            queue.additions() <= 3L * bytes, pattern + ": " + queue.additions() + " of " + bytes);
        assertEquals(line, tokenizer.decode(ids));
      }
    }
  }
}
