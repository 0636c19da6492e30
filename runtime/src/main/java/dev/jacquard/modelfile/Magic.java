package dev.jacquard.modelfile;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;

/** Recognises a file by its first bytes, so that a wrong one can be called by its name. */
final class Magic {
  private static final int OLDEST_VERSION = 2;
  private static final int NEWEST_VERSION = 3;

  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private record Known(String start, String description) {}

  private static final List<Known> OTHERS =
      List.of(
          new Known("FUGG", "a big-endian GGUF file: convert it to little-endian first"),
          new Known("lmgg", "a GGML file, older than GGUF: convert the model again"),
          new Known("fmgg", "a GGMF file, older than GGUF: convert the model again"),
          new Known("tjgg", "a GGJT file, older than GGUF: convert the model again"),
          new Known("algg", "a GGLA adapter, older than GGUF: convert it again"),
          new Known(
              "version https://git-lfs",
              "a Git LFS pointer instead of the file: fetch it with 'git lfs pull'"),
          new Known("<", "an HTML or XML page instead of the file: the download went wrong"),
          new Known("{", "JSON text instead of the file: the download went wrong"),
          new Known("PK\u0003\u0004", "a zip archive, perhaps a PyTorch checkpoint"));

  private Magic() {}

  /**
   * Checks magic and version.
   *
   * @throws ModelFormatException if the file is no little-endian GGUF of a version read here
   */
  static void requireGguf(Path file, MemorySegment bytes) {
    String start = start(bytes);
    if (!start.startsWith("GGUF")) {
      throw new ModelFormatException(file, 0, "a GGUF file", describe(start, bytes));
    }
    if (bytes.byteSize() < 8) {
      throw new ModelFormatException(file, 4, "a GGUF version", "the end of the file");
    }
    int version = bytes.get(INT, 4);
    if ((version & 0xffff) == 0 && version != 0) {
      throw new ModelFormatException(
          file, 4, "a little-endian GGUF file", "a big-endian one: convert it first");
    }
    if (version < OLDEST_VERSION || version > NEWEST_VERSION) {
      throw new ModelFormatException(
          file,
          4,
          "GGUF version " + OLDEST_VERSION + " or " + NEWEST_VERSION,
          "version "
              + Integer.toUnsignedString(version)
              + (version == 1 ? ": convert the model again" : ""));
    }
  }

  private static String describe(String start, MemorySegment bytes) {
    for (Known other : OTHERS) {
      if (start.startsWith(other.start)) {
        return other.description;
      }
    }
    if (start.isEmpty()) {
      return "an empty file";
    }
    if (start.length() > 8
        && start.charAt(8) == '{'
        && Long.compareUnsigned(bytes.get(LONG, 0), bytes.byteSize()) < 0) {
      return "a safetensors file: convert the model to GGUF";
    }
    byte[] first =
        start.substring(0, Math.min(4, start.length())).getBytes(StandardCharsets.ISO_8859_1);
    return "the bytes " + HexFormat.ofDelimiter(" ").formatHex(first);
  }

  private static String start(MemorySegment bytes) {
    byte[] start = bytes.asSlice(0, Math.min(32, bytes.byteSize())).toArray(ValueLayout.JAVA_BYTE);
    return new String(start, StandardCharsets.ISO_8859_1);
  }
}
