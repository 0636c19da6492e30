package dev.jacquard.modelfile;

import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * Reads the header of a GGUF file from front to back. Every read is checked against the bytes that
 * are left, so that nothing is allocated from a length that the file cannot hold. Not thread-safe.
 */
final class GgufCursor {
  /**
   * Longest header. The largest vocabularies take some 20 MB; the limit keeps a damaged count in a
   * file of many gigabytes from filling the heap.
   */
  static final long HEADER_LIMIT = 128L << 20;

  private static final int SHOWN_BYTES = 64;

  private static final System.Logger LOG = System.getLogger(GgufCursor.class.getName());

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path file;
  private final MemorySegment header;
  private final boolean limited;
  private long position;
  private String place = "the header";

  /** Starts at the first byte; {@code file} is named in errors. */
  GgufCursor(Path file, MemorySegment bytes) {
    this.file = file;
    this.limited = bytes.byteSize() > HEADER_LIMIT;
    this.header = limited ? bytes.asSlice(0, HEADER_LIMIT) : bytes;
  }

  /** Names what is read next, for errors. */
  void enter(String where) {
    place = where;
  }

  /** Offset of the next byte. */
  long position() {
    return position;
  }

  byte int8() {
    return header.get(ValueLayout.JAVA_BYTE, skip(Byte.BYTES, "a byte"));
  }

  short int16() {
    return header.get(SHORT, skip(Short.BYTES, "a number of 2 bytes"));
  }

  int int32() {
    return header.get(INT, skip(Integer.BYTES, "a number of 4 bytes"));
  }

  long int64() {
    return header.get(LONG, skip(Long.BYTES, "a number of 8 bytes"));
  }

  float float32() {
    return header.get(FLOAT, skip(Float.BYTES, "a float"));
  }

  double float64() {
    return header.get(DOUBLE, skip(Double.BYTES, "a double"));
  }

  /** As many 32-bit integers as {@code target} holds. */
  void int32s(int[] target) {
    long start = skip(4L * target.length, "32-bit integers");
    MemorySegment.copy(header, INT, start, target, 0, target.length);
  }

  /** As many floats as {@code target} holds. */
  void float32s(float[] target) {
    long start = skip(4L * target.length, "floats");
    MemorySegment.copy(header, FLOAT, start, target, 0, target.length);
  }

  /** As many doubles as {@code target} holds. */
  void float64s(double[] target) {
    long start = skip(8L * target.length, "doubles");
    MemorySegment.copy(header, DOUBLE, start, target, 0, target.length);
  }

  /**
   * A number of things, each of which takes at least {@code minimumBytes} of what is left.
   *
   * @param things what is counted, for errors
   */
  int count(String things, int minimumBytes) {
    long start = position;
    long count = int64();
    long most = remaining() / minimumBytes;
    if (count < 0 || count > most) {
      throw fault(
          start, "at most " + most + " " + things + " in " + left(), Long.toUnsignedString(count));
    }
    return (int) count;
  }

  /** A type of metadata values. */
  GgufType type() {
    long start = position;
    int number = int32();
    return GgufType.byNumber(number)
        .orElseThrow(() -> fault(start, "the number of a value type", "type " + number));
  }

  /**
   * A value of text. Like llama.cpp it need not be valid UTF-8: what is not is replaced by U+FFFD,
   * and a warning says so.
   */
  String text() {
    long start = position;
    byte[] bytes = bytes("the string");
    String text = new String(bytes, StandardCharsets.UTF_8);
    if (text.indexOf('\uFFFD') >= 0
        && !Arrays.equals(bytes, text.getBytes(StandardCharsets.UTF_8))) {
      LOG.log(
          Level.WARNING,
          "{0}, byte {1}: the string in {2} is not valid UTF-8; the wrong bytes are replaced",
          file,
          Long.toString(start),
          place);
    }
    return text;
  }

  /**
   * A name: 1 to {@code most} bytes of valid UTF-8 without control characters.
   *
   * @param what what is named, for errors
   */
  String name(String what, int most) {
    long start = position;
    byte[] bytes = bytes(what);
    if (bytes.length == 0 || bytes.length > most) {
      throw fault(start, what + " of 1 to " + most + " bytes", bytes.length + " bytes");
    }
    String name;
    try {
      name = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException _) {
      throw fault(start, what + " in UTF-8", hex(bytes));
    }
    if (name.chars().anyMatch(Character::isISOControl)) {
      throw fault(start, what + " without control characters", hex(bytes));
    }
    return name;
  }

  /** The fault at a place of the header. */
  ModelFormatException fault(long offset, String expected, String found) {
    return new ModelFormatException(file, offset, expected + " (" + place + ")", found);
  }

  private byte[] bytes(String what) {
    long start = position;
    long length = int64();
    if (length < 0 || length > remaining()) {
      throw fault(
          start, what + " within " + left(), "a length of " + Long.toUnsignedString(length));
    }
    byte[] bytes = new byte[(int) length];
    MemorySegment.copy(header, ValueLayout.JAVA_BYTE, skip(length, what), bytes, 0, bytes.length);
    return bytes;
  }

  private long remaining() {
    return header.byteSize() - position;
  }

  private long skip(long bytes, String what) {
    if (bytes > remaining()) {
      throw fault(position, what, "only " + left());
    }
    long start = position;
    position += bytes;
    return start;
  }

  private String left() {
    return remaining()
        + " bytes left"
        + (limited ? " of the longest header, " + HEADER_LIMIT + " bytes" : " of the file");
  }

  private static String hex(byte[] bytes) {
    int shown = Math.min(bytes.length, SHOWN_BYTES);
    return "the bytes "
        + HexFormat.ofDelimiter(" ").formatHex(bytes, 0, shown)
        + (shown < bytes.length ? " …" : "");
  }
}
