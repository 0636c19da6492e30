package dev.jacquard.modelfile;

import dev.jacquard.tensor.Shape;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Writes GGUF files of version 3. Metadata and tensors are declared first; {@link #write} then
 * writes the header and asks each tensor for its data in turn, so that no more of it is in memory
 * than its source holds. Not thread-safe.
 */
public final class GgufWriter {
  /** Produces the data of one tensor. */
  @FunctionalInterface
  public interface TensorData {
    /** Writes all bytes of the tensor, in file order. */
    void writeTo(WritableByteChannel channel) throws IOException;

    /** Data that lies in memory, on the heap or not. */
    static TensorData of(MemorySegment data) {
      return channel -> {
        byte[] chunk = new byte[(int) Math.min(CHUNK, data.byteSize())];
        for (long at = 0; at < data.byteSize(); at += CHUNK) {
          int count = (int) Math.min(CHUNK, data.byteSize() - at);
          MemorySegment.copy(data, at, MemorySegment.ofArray(chunk), 0, count);
          writeFully(channel, ByteBuffer.wrap(chunk, 0, count));
        }
      };
    }
  }

  private static final int VERSION = 3;
  private static final long CHUNK = 1 << 20;

  private record Declaration(
      String name, GgmlTypes.Type type, Shape shape, long bytes, TensorData data) {}

  private final int alignment;
  private final Map<String, byte[]> metadata = new LinkedHashMap<>();
  private final List<Declaration> tensors = new ArrayList<>();
  private final Set<String> names = new HashSet<>();

  /** A writer that aligns tensors to 32 bytes. */
  public GgufWriter() {
    this(GgufHeader.DEFAULT_ALIGNMENT);
  }

  /**
   * A writer with another alignment of tensors, which the file then states.
   *
   * @param alignment bytes, a power of two
   */
  public GgufWriter(int alignment) {
    if (alignment <= 0 || Integer.bitCount(alignment) != 1) {
      throw new IllegalArgumentException("an alignment is a power of two, not " + alignment);
    }
    this.alignment = alignment;
    if (alignment != GgufHeader.DEFAULT_ALIGNMENT) {
      metadata.put(GgufHeader.ALIGNMENT_KEY, encode(GgufType.UINT32, alignment));
    }
  }

  /**
   * Adds a single value.
   *
   * @param value a {@link Number} (for integer types an exact one), {@link Boolean} or {@link
   *     String}, as the type asks
   * @throws IllegalArgumentException if the key is there already, or the value does not fit
   */
  public GgufWriter put(String key, GgufType type, Object value) {
    return add(key, encode(type, value));
  }

  /**
   * Adds an array.
   *
   * @param values elements as in {@link #put}
   * @throws IllegalArgumentException if the key is there already, or a value does not fit
   */
  public GgufWriter putArray(String key, GgufType type, List<?> values) {
    Encoder out = new Encoder();
    out.int32(GgufType.ARRAY.number());
    out.int32(type.number());
    out.int64(values.size());
    values.forEach(value -> out.value(type, value));
    return add(key, out.toByteArray());
  }

  /**
   * Adds a value of another file as it is stored there, whatever its type.
   *
   * @throws IllegalArgumentException if the key is there already, or is not in the other file
   */
  public GgufWriter copy(GgufFile from, String key) {
    return add(key, from.storedValue(key).toArray(ValueLayout.JAVA_BYTE));
  }

  /**
   * Adds a tensor; tensors are stored in the order of these calls.
   *
   * @param data asked for {@code shape.elements()} elements in {@code type} when the file is
   *     written
   * @throws IllegalArgumentException if the name is taken or too long, or rows are no whole blocks
   */
  public GgufWriter tensor(String name, GgmlTypes.Type type, Shape shape, TensorData data) {
    if (name.isEmpty() || utf8(name).length > GgufHeader.MAX_TENSOR_NAME) {
      throw new IllegalArgumentException(
          "a tensor name has 1 to " + GgufHeader.MAX_TENSOR_NAME + " bytes: '" + name + "'");
    }
    if (shape.columns() % type.blockSize() != 0) {
      throw new IllegalArgumentException(
          name + ": rows of " + shape.columns() + " are no whole " + type.name() + " blocks");
    }
    if (!names.add(name)) {
      throw new IllegalArgumentException("there is a tensor " + name + " already");
    }
    long bytes = Math.multiplyExact(shape.elements() / type.blockSize(), (long) type.blockBytes());
    tensors.add(new Declaration(name, type, shape, bytes, data));
    return this;
  }

  /** Where a file is written before it has its name. */
  public static Path unfinished(Path file) {
    return file.resolveSibling(file.getFileName() + ".unfinished");
  }

  /**
   * Writes the file. It stands under its name only when it is complete.
   *
   * @throws IOException if it cannot be written
   * @throws IllegalStateException if a tensor's data has another size than was declared
   */
  public void write(Path file) throws IOException {
    Path unfinished = unfinished(file);
    try {
      try (FileChannel channel =
          FileChannel.open(
              unfinished,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        writeFully(channel, ByteBuffer.wrap(header()));
        for (Declaration tensor : tensors) {
          pad(channel);
          long start = channel.position();
          tensor.data.writeTo(channel);
          long written = channel.position() - start;
          if (written != tensor.bytes) {
            throw new IllegalStateException(
                tensor.name + " has " + written + " bytes instead of " + tensor.bytes);
          }
        }
        pad(channel);
      }
      Files.move(unfinished, file, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  private byte[] header() {
    Encoder out = new Encoder();
    out.writeBytes(utf8("GGUF"));
    out.int32(VERSION);
    out.int64(tensors.size());
    out.int64(metadata.size());
    metadata.forEach(
        (key, value) -> {
          out.string(key);
          out.writeBytes(value);
        });
    long offset = 0;
    for (Declaration tensor : tensors) {
      out.string(tensor.name);
      out.int32(tensor.shape.sizes().size());
      tensor.shape.sizes().forEach(out::int64);
      out.int32(tensor.type.number());
      out.int64(offset);
      offset = aligned(offset + tensor.bytes);
    }
    return out.toByteArray();
  }

  private GgufWriter add(String key, byte[] value) {
    if (key.equals(GgufHeader.ALIGNMENT_KEY)) {
      throw new IllegalArgumentException("the alignment is given to the constructor");
    }
    if (key.isEmpty() || metadata.putIfAbsent(key, value) != null) {
      throw new IllegalArgumentException("there is a key '" + key + "' already, or it is empty");
    }
    return this;
  }

  private long aligned(long offset) {
    return (offset + alignment - 1) & -alignment;
  }

  private void pad(FileChannel channel) throws IOException {
    long padding = aligned(channel.position()) - channel.position();
    writeFully(channel, ByteBuffer.allocate((int) padding));
  }

  private static void writeFully(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private static byte[] encode(GgufType type, Object value) {
    Encoder out = new Encoder();
    out.int32(type.number());
    out.value(type, value);
    return out.toByteArray();
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** Appends little-endian values. */
  private static final class Encoder extends ByteArrayOutputStream {
    void int32(int value) {
      writeBytes(buffer(Integer.BYTES).putInt(value).array());
    }

    void int64(long value) {
      writeBytes(buffer(Long.BYTES).putLong(value).array());
    }

    void string(String text) {
      byte[] bytes = utf8(text);
      int64(bytes.length);
      writeBytes(bytes);
    }

    void value(GgufType type, Object value) {
      switch (type) {
        case UINT8, INT8 -> write((int) integer(type, value));
        case UINT16, INT16 ->
            writeBytes(buffer(Short.BYTES).putShort((short) integer(type, value)).array());
        case UINT32, INT32 -> int32((int) integer(type, value));
        case UINT64, INT64 -> int64(integer(type, value));
        case FLOAT32 ->
            int32(Float.floatToRawIntBits(cast(type, Number.class, value).floatValue()));
        case FLOAT64 ->
            int64(Double.doubleToRawLongBits(cast(type, Number.class, value).doubleValue()));
        case BOOL -> write(cast(type, Boolean.class, value) ? 1 : 0);
        case STRING -> string(cast(type, String.class, value));
        case ARRAY -> throw new IllegalArgumentException("an array is no single value");
      }
    }

    /** The bits of an integer, checked against the range of its type. */
    private static long integer(GgufType type, Object value) {
      BigInteger integer = new BigInteger(cast(type, Number.class, value).toString());
      boolean signed =
          switch (type) {
            case INT8, INT16, INT32, INT64 -> true;
            case UINT8, UINT16, UINT32, UINT64 -> false;
            case FLOAT32, FLOAT64, BOOL, STRING, ARRAY -> throw new AssertionError(type);
          };
      int bits = 8 * type.minimumBytes() - (signed ? 1 : 0);
      if (integer.bitLength() > bits || (!signed && integer.signum() < 0)) {
        throw new IllegalArgumentException(value + " is no " + type);
      }
      return integer.longValue();
    }

    private static <T> T cast(GgufType type, Class<T> to, Object value) {
      if (!to.isInstance(value)) {
        throw new IllegalArgumentException(value + " is no " + type);
      }
      return to.cast(value);
    }

    private static ByteBuffer buffer(int bytes) {
      return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
  }
}
