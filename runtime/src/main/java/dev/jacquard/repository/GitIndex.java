package dev.jacquard.repository;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.NavigableSet;
import java.util.TreeSet;

/**
 * The paths that git tracks: of the index file, versions 2 to 4, as git's {@code
 * Documentation/gitformat-index.adoc} describes it.
 *
 * @param files tracked files and symbolic links, relative to the work tree
 * @param submodules folders that are repositories of their own
 */
record GitIndex(NavigableSet<String> files, NavigableSet<String> submodules) {
  private static final int SIGNATURE = 0x44495243; // DIRC
  private static final int STAT_BYTES = 40; // times, device, inode, mode, owner, size
  private static final int MODE_AT = 24;
  private static final int EXTENDED = 0x4000;
  private static final int KIND = 0170000;
  private static final int GITLINK = 0160000;
  private static final int FOLDER = 0040000; // of a sparse index: not in the work tree
  private static final int SPLIT = 0x6c696e6b; // link

  /** An index without entries. */
  static GitIndex empty() {
    return new GitIndex(new TreeSet<>(), new TreeSet<>());
  }

  /** Whether some tracked file lies in the folder, which ends with {@code /}. */
  boolean tracksIn(String folder) {
    String next = files.ceiling(folder);
    return next != null && next.startsWith(folder);
  }

  /**
   * Reads an index.
   *
   * @param hashBytes 20, or 32 in a repository of SHA-256
   * @throws IOException if it is none, or has a feature that is not read here
   */
  static GitIndex read(Path file, int hashBytes) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file));
    try {
      if (in.getInt() != SIGNATURE) {
        throw new IOException("it does not begin with DIRC");
      }
      int version = in.getInt();
      if (version < 2 || version > 4) {
        throw new IOException("its version is " + version + ", and 2 to 4 are known");
      }
      GitIndex index = empty();
      int entries = in.getInt();
      byte[] path = {};
      for (int i = 0; i < entries; i++) {
        path = index.readEntry(in, version, hashBytes, path);
      }
      requireWhole(in, hashBytes);
      return index;
    } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException e) {
      throw new IOException("it ends early or is damaged", e);
    }
  }

  private byte[] readEntry(ByteBuffer in, int version, int hashBytes, byte[] previous) {
    int start = in.position();
    int kind = in.getInt(start + MODE_AT) & KIND;
    in.position(start + STAT_BYTES + hashBytes);
    if ((in.getShort() & EXTENDED) != 0) {
      in.getShort();
    }
    byte[] path;
    if (version == 4) {
      int kept = previous.length - offset(in);
      byte[] suffix = untilZero(in);
      path = Arrays.copyOf(previous, kept + suffix.length);
      System.arraycopy(suffix, 0, path, kept, suffix.length);
    } else {
      path = untilZero(in);
      in.position(start + (in.position() - 1 - start + 8) / 8 * 8); // 1 to 8 zero bytes
    }
    String name = new String(path, StandardCharsets.UTF_8);
    if (kind == GITLINK) {
      submodules.add(name);
    } else if (kind != FOLDER) {
      files.add(name);
    }
    return path;
  }

  /** A number as pack files write offsets. */
  private static int offset(ByteBuffer in) {
    byte b = in.get();
    int value = b & 0x7F;
    while (b < 0) {
      b = in.get();
      value = (Math.addExact(value, 1) << 7) | (b & 0x7F);
    }
    return value;
  }

  private static byte[] untilZero(ByteBuffer in) {
    int start = in.position();
    while (in.get() != 0) {
      // The loop looks for the end only.
    }
    byte[] bytes = new byte[in.position() - 1 - start];
    in.get(start, bytes);
    return bytes;
  }

  /** A split index holds only what changed since another file, which this reader does not merge. */
  private static void requireWhole(ByteBuffer in, int hashBytes) throws IOException {
    while (in.remaining() > hashBytes) {
      if (in.getInt() == SPLIT) {
        throw new IOException("it is split; 'git update-index --no-split-index' joins it");
      }
      in.position(in.position() + 4 + in.getInt(in.position()));
    }
  }
}
