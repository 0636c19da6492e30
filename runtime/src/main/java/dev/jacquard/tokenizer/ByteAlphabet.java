package dev.jacquard.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * GPT-2's way to spell bytes as visible characters: bytes that are visible in Latin-1 as
 * themselves, the other 68 in order as the characters from U+0100 on.
 */
final class ByteAlphabet {
  private static final char[] CHARACTERS = new char[256];

  /** Character to byte, or −1. */
  private static final short[] BYTES = new short[0x100 + 68];

  static {
    Arrays.fill(BYTES, (short) -1);
    char next = 0x100;
    for (int value = 0; value < 256; value++) {
      boolean visible = (value >= '!' && value <= '~') || (value >= 0xA1 && value != 0xAD);
      CHARACTERS[value] = visible ? (char) value : next++;
      BYTES[CHARACTERS[value]] = (short) value;
    }
  }

  private ByteAlphabet() {}

  /** The character that spells a byte (0 … 255). */
  static char character(int value) {
    return CHARACTERS[value];
  }

  /**
   * The bytes that a spelling stands for. Characters that spell no byte, which only faulty
   * vocabularies hold, stand for themselves.
   */
  static byte[] decode(String spelling) {
    byte[] bytes = new byte[spelling.length()];
    for (int i = 0; i < bytes.length; i++) {
      char character = spelling.charAt(i);
      if (character >= BYTES.length || BYTES[character] < 0) {
        return spelling.getBytes(StandardCharsets.UTF_8);
      }
      bytes[i] = (byte) BYTES[character];
    }
    return bytes;
  }
}
