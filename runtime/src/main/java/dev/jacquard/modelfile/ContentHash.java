package dev.jacquard.modelfile;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;

/** SHA-256 of large memory, piece by piece on all cores. */
final class ContentHash {
  private static final int PIECE = 1 << 24;

  /** Pieces between two reports of progress. */
  private static final int TOGETHER = 16;

  private ContentHash() {}

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  /** The first half of a digest in hexadecimal. */
  static String name(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest(), 0, 16);
  }

  /** A name of the sizes and all bytes of {@code parts}. */
  static String of(List<MemorySegment> parts, DoubleConsumer progress) {
    long all = parts.stream().mapToLong(MemorySegment::byteSize).sum();
    long done = 0;
    MessageDigest digest = sha256();
    for (MemorySegment part : parts) {
      digest.update((part.byteSize() + "\n").getBytes(StandardCharsets.US_ASCII));
      int pieces = Math.toIntExact((part.byteSize() + PIECE - 1) / PIECE);
      for (int first = 0; first < pieces; first += TOGETHER) {
        progress.accept((double) done / all);
        int end = Math.min(pieces, first + TOGETHER);
        IntStream.range(first, end)
            .parallel()
            .mapToObj(piece -> digest(part, piece))
            .forEachOrdered(digest::update);
        done = Math.min(all, done + (long) (end - first) * PIECE);
      }
    }
    progress.accept(1);
    return name(digest);
  }

  private static byte[] digest(MemorySegment part, int piece) {
    long from = (long) piece * PIECE;
    MessageDigest digest = sha256();
    digest.update(part.asSlice(from, Math.min(PIECE, part.byteSize() - from)).asByteBuffer());
    return digest.digest();
  }
}
