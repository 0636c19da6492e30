package dev.jacquard.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Text from a file or standard input. It must be UTF-8. */
final class TextInput {
  private static final String STDIN = "-";

  private TextInput() {}

  /**
   * Reads all of a file, or of standard input if the name is {@code -}. One line end at the very
   * end is dropped, as llama.cpp does.
   *
   * @throws InputException if it is not UTF-8; says at which byte
   */
  static String read(Path file, Terminal terminal) throws IOException {
    boolean stdin = file.toString().equals(STDIN);
    byte[] bytes = stdin ? terminal.in().readAllBytes() : Files.readAllBytes(file);
    String text = decode(bytes, stdin ? "standard input" : file.toString());
    return text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
  }

  private static String decode(byte[] bytes, String name) {
    CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    ByteBuffer source = ByteBuffer.wrap(bytes);
    CharBuffer target = CharBuffer.allocate(bytes.length);
    CoderResult result = decoder.decode(source, target, true);
    if (result.isError()) {
      throw new InputException(
          "%s is not UTF-8: byte 0x%02X at offset %d; convert it first, for example with iconv"
              .formatted(name, bytes[source.position()], source.position()));
    }
    return target.flip().toString();
  }
}
