package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.memory.MappedFile;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.function.DoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A file of packed matrices, so that a large model is repacked once and mapped afterwards.
 *
 * <pre>
 *  0                  header        header + plan.bytes()
 *  +------------------+-------------+
 *  | description, 0 … | the region  |      header: a multiple of 4096
 *  +------------------+-------------+
 * </pre>
 *
 * <p>The file is written under another name, forced to the disk and renamed, so that a file of the
 * right name, description and length is complete. Its owner names it after the model's content.
 */
final class PackedCache {
  private static final System.Logger LOG = System.getLogger(PackedCache.class.getName());
  private static final int PAGE = 4096;

  private PackedCache() {}

  /** The region of a plan within the mapped file. */
  static MemorySegment region(MappedFile file, PackingPlan plan) {
    return file.segment().asSlice(headerBytes(plan.description()), plan.bytes());
  }

  /** Maps {@code path} if it holds exactly what the plan describes, else returns null. */
  static @Nullable MappedFile open(Path path, PackingPlan plan) {
    if (!Files.isRegularFile(path)) {
      return null;
    }
    byte[] description = plan.description();
    try {
      MappedFile file = MappedFile.open(path);
      MemorySegment bytes = file.segment();
      if (bytes.byteSize() == headerBytes(description) + plan.bytes()
          && bytes.asSlice(0, description.length).mismatch(MemorySegment.ofArray(description))
              == -1) {
        return file;
      }
      file.close();
      LOG.log(Level.INFO, "{0} holds other matrices or another layout; it is written anew", path);
    } catch (IOException e) {
      LOG.log(Level.WARNING, path + ": cannot be read; the weights are repacked", e);
    }
    return null;
  }

  /**
   * Packs all matrices into a new file and maps it. Holds no more than one packed matrix in memory
   * of its own.
   *
   * @return null, after a line in the log, if the disk does not take it
   */
  static @Nullable MappedFile write(
      Path path, PackingPlan plan, WorkerPool pool, DoubleConsumer progress) {
    Path part = null;
    try {
      Path folder = path.toAbsolutePath().getParent();
      if (folder != null) {
        Files.createDirectories(folder);
      }
      part = Files.createTempFile(folder, path.getFileName() + ".", ".part");
      writeFile(part, plan, pool, progress);
      Files.move(part, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      return MappedFile.open(path);
    } catch (IOException e) {
      LOG.log(
          Level.WARNING,
          path
              + ": cannot keep repacked weights there; they stay in memory and are repacked at"
              + " each start",
          e);
      deleteQuietly(part);
      return null;
    } catch (RuntimeException | Error e) {
      deleteQuietly(part);
      throw e;
    }
  }

  private static void writeFile(
      Path part, PackingPlan plan, WorkerPool pool, DoubleConsumer progress) throws IOException {
    byte[] description = plan.description();
    long header = headerBytes(description);
    long largest = plan.entries().stream().mapToLong(PackingPlan.Entry::bytes).max().orElse(0);
    try (FileChannel channel = FileChannel.open(part, StandardOpenOption.WRITE);
        Arena arena = Arena.ofShared()) {
      MemorySegment buffer = arena.allocate(largest, 64);
      write(channel, 0, MemorySegment.ofArray(description));
      for (PackingPlan.Entry entry : plan.entries()) {
        MemorySegment packed = buffer.asSlice(0, entry.bytes());
        entry.pack(pool, packed);
        write(channel, header + entry.offset(), packed);
        progress.accept((double) (entry.offset() + entry.bytes()) / plan.bytes());
      }
      long missing = header + plan.bytes() - channel.size();
      write(channel, channel.size(), MemorySegment.ofArray(new byte[(int) missing]));
      channel.force(true);
    }
  }

  private static void write(FileChannel channel, long position, MemorySegment bytes)
      throws IOException {
    long chunk = 1L << 26;
    for (long from = 0; from < bytes.byteSize(); from += chunk) {
      ByteBuffer buffer =
          bytes.asSlice(from, Math.min(chunk, bytes.byteSize() - from)).asByteBuffer();
      long at = position + from;
      while (buffer.hasRemaining()) {
        at += channel.write(buffer, at);
      }
    }
  }

  private static long headerBytes(byte[] description) {
    return (description.length + PAGE - 1L) / PAGE * PAGE;
  }

  private static void deleteQuietly(@Nullable Path part) {
    if (part != null) {
      try {
        Files.deleteIfExists(part);
      } catch (IOException e) {
        LOG.log(Level.WARNING, part + ": cannot be deleted", e);
      }
    }
  }
}
