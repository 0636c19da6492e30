package dev.jacquard.repository;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** What reading a file gave. */
sealed interface FileContent {
  /** A text. A byte-order mark is no part of it. */
  record Text(String text, String charset, long bytes, String hash) implements FileContent {}

  /** No text; {@code reason} goes on with a sentence that begins with the path. */
  record Unusable(String reason) implements FileContent {}

  /** A file with a zero byte here is binary, as git has it. */
  int BINARY_PREFIX = 8000;

  /** How often a file is read that changes while it is read. */
  int ATTEMPTS = 3;

  /** Reads a file of at most {@code maxBytes}. */
  static FileContent read(Path file, long maxBytes) {
    try {
      for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        BasicFileAttributes before = attributes(file);
        if (!before.isRegularFile()) {
          return new Unusable("is no regular file any more");
        }
        if (before.size() > maxBytes) {
          return new Unusable(tooLarge(before.size(), maxBytes));
        }
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
          bytes = in.readNBytes((int) Math.min(Integer.MAX_VALUE - 8, maxBytes + 1));
        }
        BasicFileAttributes after = attributes(file);
        if (after.size() == bytes.length
            && before.size() == bytes.length
            && before.lastModifiedTime().equals(after.lastModifiedTime())) {
          return of(bytes);
        }
      }
      return new Unusable("changes while it is read");
    } catch (NoSuchFileException e) {
      return new Unusable("is gone since the folder was listed");
    } catch (AccessDeniedException e) {
      return new Unusable("cannot be read: permission denied");
    } catch (IOException e) {
      return new Unusable("cannot be read: " + e.getMessage());
    }
  }

  /** Why a file is too large. */
  static String tooLarge(long bytes, long maxBytes) {
    return "has " + bytes + " bytes, more than the limit of " + maxBytes;
  }

  private static BasicFileAttributes attributes(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
  }

  private static FileContent of(byte[] bytes) {
    String hash = hash(bytes);
    if (startsWith(bytes, 0xFF, 0xFE)) {
      return text(bytes, 2, StandardCharsets.UTF_16LE, hash);
    }
    if (startsWith(bytes, 0xFE, 0xFF)) {
      return text(bytes, 2, StandardCharsets.UTF_16BE, hash);
    }
    for (int i = 0; i < Math.min(bytes.length, BINARY_PREFIX); i++) {
      if (bytes[i] == 0) {
        return new Unusable("is binary");
      }
    }
    int mark = startsWith(bytes, 0xEF, 0xBB, 0xBF) ? 3 : 0;
    return text(
        bytes, mark, isUtf8(bytes) ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1, hash);
  }

  private static Text text(byte[] bytes, int from, Charset charset, String hash) {
    String text = new String(bytes, from, bytes.length - from, charset);
    return new Text(text, charset.name(), bytes.length, hash);
  }

  private static boolean startsWith(byte[] bytes, int... prefix) {
    if (bytes.length < prefix.length) {
      return false;
    }
    for (int i = 0; i < prefix.length; i++) {
      if ((bytes[i] & 0xFF) != prefix[i]) {
        return false;
      }
    }
    return true;
  }

  private static boolean isUtf8(byte[] bytes) {
    try {
      StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
      return true;
    } catch (CharacterCodingException e) {
      return false;
    }
  }

  private static String hash(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
