package dev.jacquard.memory;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A file mapped read-only into memory, whole, with one shared {@link Arena}. Pages are read from
 * disk when they are first touched.
 *
 * <p>Any thread may read {@link #segment()}; the owner closes, when nobody reads any more.
 *
 * <p>If another process shortens the file, its lost pages are gone from memory too. {@link
 * #requireIntact()} notices and costs a system call; call it before work that reads the mapping.
 * What happens to a thread that touches a lost page before that, on Linux with JDK 25:
 *
 * <ul>
 *   <li>{@code MemorySegment.get} and {@link MemorySegment#copy}, interpreted or compiled: {@link
 *       InternalError}, and the JVM lives on. Values read until it is thrown are garbage.
 *   <li>Vector API loads compiled by C2, and {@link MemorySegment#mismatch}: the JVM dies of
 *       SIGBUS.
 * </ul>
 *
 * <p>So code that must survive reads the mapping only through the former; the decision page 0006
 * tells what that means for kernels.
 */
public final class MappedFile implements AutoCloseable {
  private final Path path;
  private final Arena arena;
  private final FileChannel channel;
  private final MemorySegment segment;

  private MappedFile(Path path, Arena arena, FileChannel channel, MemorySegment segment) {
    this.path = path;
    this.arena = arena;
    this.channel = channel;
    this.segment = segment;
  }

  /**
   * Maps all of {@code path}.
   *
   * @throws IOException if the file cannot be opened or mapped
   */
  public static MappedFile open(Path path) throws IOException {
    FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
    Arena arena = Arena.ofShared();
    try {
      MemorySegment segment =
          channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena).asReadOnly();
      return new MappedFile(path, arena, channel, segment);
    } catch (IOException | RuntimeException | Error e) {
      arena.close();
      channel.close();
      throw e;
    }
  }

  /** The file's path, as it was given. */
  public Path path() {
    return path;
  }

  /** All bytes of the file, read-only, valid until {@link #close()}. */
  public MemorySegment segment() {
    return segment;
  }

  /**
   * Checks that the file still has the bytes that were mapped.
   *
   * @throws JacquardException if it became shorter, or cannot be asked
   */
  public void requireIntact() {
    long now;
    try {
      now = channel.size();
    } catch (IOException e) {
      throw new JacquardException(path + ": cannot read the size of the mapped file any more", e);
    }
    if (now < segment.byteSize()) {
      throw new JacquardException(
          path
              + ": the file was shortened while it was in use, from "
              + segment.byteSize()
              + " to "
              + now
              + " bytes; restore it and open the model again");
    }
  }

  /** Unmaps the file. Closing twice does nothing. */
  @Override
  public void close() {
    if (!arena.scope().isAlive()) {
      return;
    }
    arena.close();
    try {
      channel.close();
    } catch (IOException e) {
      throw new JacquardException(path + ": closing the mapped file failed", e);
    }
  }
}
