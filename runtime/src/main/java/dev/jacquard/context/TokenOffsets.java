package dev.jacquard.context;

import dev.jacquard.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Which token of a text holds a character. */
final class TokenOffsets {
  private final String text;

  /** Bytes of UTF-8 before each token. */
  private final int[] bytes;

  private final boolean exact;
  private int charsDone;
  private int bytesDone;

  /** Of a text and its tokens. */
  TokenOffsets(String text, int[] ids, Tokenizer tokenizer) {
    this.text = text;
    bytes = new int[ids.length];
    int at = tokenizer.addsSpacePrefix() ? -1 : 0;
    for (int i = 0; i < ids.length; i++) {
      bytes[i] = at;
      at += tokenizer.bytes(ids[i]).length;
    }
    exact = at == text.getBytes(StandardCharsets.UTF_8).length;
  }

  /** Whether the tokens spell the text byte by byte. If not, there are no offsets. */
  boolean exact() {
    return exact;
  }

  /** The token that holds the character at {@code position}; positions may not go down. */
  int token(int position) {
    bytesDone += text.substring(charsDone, position).getBytes(StandardCharsets.UTF_8).length;
    charsDone = position;
    int found = Arrays.binarySearch(bytes, bytesDone);
    return found >= 0 ? found : Math.max(0, -found - 2);
  }
}
