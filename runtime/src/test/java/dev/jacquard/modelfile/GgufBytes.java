package dev.jacquard.modelfile;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Builds GGUF files byte by byte, right or wrong. */
final class GgufBytes {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  /** Begins a file of version 3. */
  static GgufBytes file(long tensors, long pairs) {
    return file(3, tensors, pairs);
  }

  /** Begins a file. */
  static GgufBytes file(int version, long tensors, long pairs) {
    return new GgufBytes().text("GGUF").int32(version).int64(tensors).int64(pairs);
  }

  GgufBytes raw(byte... bytes) {
    out.writeBytes(bytes);
    return this;
  }

  /** The text's bytes alone. */
  GgufBytes text(String text) {
    return raw(text.getBytes(StandardCharsets.UTF_8));
  }

  GgufBytes int8(int value) {
    out.write(value);
    return this;
  }

  GgufBytes int16(int value) {
    return raw(buffer(2).putShort((short) value).array());
  }

  GgufBytes int32(int value) {
    return raw(buffer(4).putInt(value).array());
  }

  GgufBytes int64(long value) {
    return raw(buffer(8).putLong(value).array());
  }

  GgufBytes float32(float value) {
    return raw(buffer(4).putFloat(value).array());
  }

  GgufBytes float64(double value) {
    return raw(buffer(8).putDouble(value).array());
  }

  /** Length and bytes. */
  GgufBytes string(String text) {
    return string(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Length and bytes. */
  GgufBytes string(byte[] bytes) {
    return int64(bytes.length).raw(bytes);
  }

  /** A key and the type of the value that follows. */
  GgufBytes key(String key, GgufType type) {
    return string(key).int32(type.number());
  }

  /** A key and the beginning of an array. */
  GgufBytes array(String key, GgufType type, long count) {
    return key(key, GgufType.ARRAY).elements(type, count);
  }

  /** The beginning of an array. */
  GgufBytes elements(GgufType type, long count) {
    return int32(type.number()).int64(count);
  }

  /** A tensor's declaration. */
  GgufBytes tensor(String name, int type, long offset, long... sizes) {
    string(name).int32(sizes.length);
    for (long size : sizes) {
      int64(size);
    }
    return int32(type).int64(offset);
  }

  /** Padding, then {@code count} bytes of data. */
  GgufBytes data(int alignment, int count) {
    int padding = -out.size() & (alignment - 1);
    return raw(new byte[padding]).raw(new byte[count]);
  }

  byte[] bytes() {
    return out.toByteArray();
  }

  Path writeTo(Path path) {
    return write(path, bytes());
  }

  static Path write(Path path, byte[] bytes) {
    try {
      return Files.write(path, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
