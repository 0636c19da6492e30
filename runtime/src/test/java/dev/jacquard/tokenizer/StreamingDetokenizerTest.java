package dev.jacquard.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.jacquard.testing.TestData;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Text appears as soon as it is complete, and never sooner. */
class StreamingDetokenizerTest {
  private static final Tokenizer BPE = TestVocabularies.of(TestVocabularies.bpe());
  private static final Tokenizer SENTENCE_PIECE =
      TestVocabularies.of(TestVocabularies.sentencePiece());

  @Test
  void charactersWaitForTheirLastByte() {
    StreamingDetokenizer detokenizer = StreamingDetokenizer.ofText(BPE);
    assertEquals("", detokenizer.push(0xF0));
    assertEquals("", detokenizer.push(0x9F));
    assertEquals("", detokenizer.push(0x99));
    assertEquals("🙂", detokenizer.push(0x82));
    assertEquals("hello", detokenizer.push(259));
    assertEquals("", detokenizer.push(0xC3));
    assertEquals("", detokenizer.push(260)); // a control token
    assertEquals("é", detokenizer.push(0xA9));
    assertEquals("", detokenizer.flush());
  }

  @Test
  void invalidBytesAreReplaced() {
    StreamingDetokenizer detokenizer = StreamingDetokenizer.ofText(BPE);
    assertEquals("\ufffd", detokenizer.push(0xFF));
    assertEquals("\ufffd", detokenizer.push(0x80));
    assertEquals("", detokenizer.push(0xE2));
    assertEquals("\ufffda", detokenizer.push('a'));
    assertEquals("", detokenizer.push(0xE2));
    assertEquals("", detokenizer.push(0x82));
    assertEquals("\ufffd", detokenizer.flush());
    assertEquals("", detokenizer.flush());
    assertEquals("b", detokenizer.push('b'));
  }

  @Test
  void firstSpaceBelongsToTheTokenizer() {
    int[] ids = SENTENCE_PIECE.encode("ab ab", Tokenizer.Options.DEFAULT);
    assertEquals("ab ab", SENTENCE_PIECE.decode(ids));
    StreamingDetokenizer continuation = StreamingDetokenizer.ofContinuation(SENTENCE_PIECE);
    assertEquals(" ab", continuation.push(264));
    StreamingDetokenizer text = StreamingDetokenizer.ofText(SENTENCE_PIECE);
    assertEquals("", text.push(1));
    assertEquals("", text.push(259));
    assertEquals(" ab", text.push(264));
  }

  /** Any ids at all: the pieces joined are the bytes joined and decoded at once. */
  @Test
  void piecesJoinToTheWhole() {
    for (Tokenizer tokenizer :
        List.of(
            BPE,
            SENTENCE_PIECE,
            TestVocabularies.open(TestData.bundledModel()),
            TestVocabularies.open(TestData.resource("architectures/gemma3.gguf")))) {
      Random random = new Random(5);
      for (int round = 0; round < 2000; round++) {
        StreamingDetokenizer detokenizer = StreamingDetokenizer.ofContinuation(tokenizer);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        StringBuilder joined = new StringBuilder();
        for (int i = random.nextInt(30); i > 0; i--) {
          // Half of them single bytes, which the first tokens spell.
          int token = random.nextInt(random.nextBoolean() ? 259 : tokenizer.size());
          bytes.writeBytes(tokenizer.bytes(token));
          String piece = detokenizer.push(token);
          assertFalse(
              !piece.isEmpty() && Character.isHighSurrogate(piece.charAt(piece.length() - 1)));
          joined.append(piece);
        }
        joined.append(detokenizer.flush());
        assertEquals(bytes.toString(StandardCharsets.UTF_8), joined.toString());
      }
    }
  }
}
