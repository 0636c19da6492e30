package dev.jacquard.tokenizer;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Turns tokens into text as they come. A token may end in the middle of a character: its bytes are
 * held back until the character is complete. Bytes that are no UTF-8 become U+FFFD, as {@link
 * CharsetDecoder} replaces them. Not safe for several threads at once.
 */
public final class StreamingDetokenizer {
  /** A character of UTF-8 has at most four bytes, so at most three are ever held back. */
  private static final int MOST_PENDING = 3;

  private final Tokenizer tokenizer;
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPLACE)
          .onUnmappableCharacter(CodingErrorAction.REPLACE);

  /** Bytes that wait, ready to be read. */
  private ByteBuffer pending = ByteBuffer.allocate(64).limit(0);

  private CharBuffer decoded = CharBuffer.allocate(64);
  private boolean dropSpace;

  private StreamingDetokenizer(Tokenizer tokenizer, boolean dropSpace) {
    this.tokenizer = tokenizer;
    this.dropSpace = dropSpace;
  }

  /**
   * For tokens that begin a text: the space that {@link Tokenizer#encode} put before it is taken
   * away again.
   */
  public static StreamingDetokenizer ofText(Tokenizer tokenizer) {
    return new StreamingDetokenizer(tokenizer, tokenizer.addsSpacePrefix());
  }

  /** For tokens that go on with a text, as generated ones do after a prompt. */
  public static StreamingDetokenizer ofContinuation(Tokenizer tokenizer) {
    return new StreamingDetokenizer(tokenizer, false);
  }

  /**
   * Text that is complete with this token, often empty or of several characters.
   *
   * @throws IndexOutOfBoundsException if the vocabulary has no such token
   */
  public String push(int token) {
    byte[] bytes = tokenizer.bytes(token);
    int from = 0;
    if (dropSpace && bytes.length > 0) {
      from = bytes[0] == ' ' ? 1 : 0;
      dropSpace = false;
    }
    append(bytes, from);
    return decode(false);
  }

  /** What is left, with U+FFFD for a character that never became complete; then starts anew. */
  public String flush() {
    String rest = decode(true);
    decoder.reset();
    return rest;
  }

  private void append(byte[] bytes, int from) {
    if (pending.capacity() < MOST_PENDING + bytes.length) {
      pending = ByteBuffer.allocate(2 * (MOST_PENDING + bytes.length)).put(pending).flip();
    }
    pending.compact().put(bytes, from, bytes.length - from).flip();
  }

  private String decode(boolean end) {
    // No byte makes more than one UTF-16 unit.
    if (decoded.capacity() < pending.remaining()) {
      decoded = CharBuffer.allocate(pending.capacity());
    }
    decoded.clear();
    decoder.decode(pending, decoded, end);
    return decoded.flip().toString();
  }
}
