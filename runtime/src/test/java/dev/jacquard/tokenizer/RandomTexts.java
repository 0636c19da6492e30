package dev.jacquard.tokenizer;

import java.util.Random;

/** Texts of all kinds of characters, well-formed UTF-16. */
final class RandomTexts {
  private static final int[] TRICKY =
      " \t\n\r\u00a0\u3000\u0085'stmdrvel0123.,!?()  aAbB_<>|$-é\u0301\u0663\u2160½日本語🙂👩\u200d🚀\ufffd"
          .codePoints()
          .toArray();

  private RandomTexts() {}

  static String next(Random random) {
    StringBuilder text = new StringBuilder();
    int length = random.nextInt(50);
    int kind = random.nextInt(3);
    for (int i = 0; i < length; i++) {
      text.appendCodePoint(
          switch (kind) {
            case 0 -> TRICKY[random.nextInt(TRICKY.length)];
            case 1 -> random.nextInt(0x250);
            default -> anyCharacter(random);
          });
    }
    return text.toString();
  }

  private static int anyCharacter(Random random) {
    int character = random.nextInt(Character.MAX_CODE_POINT + 1);
    return character >= Character.MIN_SURROGATE && character <= Character.MAX_SURROGATE
        ? '?'
        : character;
  }
}
