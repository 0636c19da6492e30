package dev.jacquard.kvstore;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.memory.MappedFile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;

/**
 * A stored file, mapped, with the right header and checksums. Bytes are copied out before they are
 * used, by what survives a file that is shortened meanwhile (see {@link MappedFile}).
 */
final class StoreReader implements AutoCloseable {
  private static final int CHUNK = 1 << 16;
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final StoreLayout layout;
  private final MappedFile file;

  private StoreReader(StoreLayout layout, MappedFile file) {
    this.layout = layout;
    this.file = file;
  }

  /**
   * Maps a file and checks all of it.
   *
   * @throws KvStoreException if it is gone, or not what it must be
   */
  static StoreReader open(StoredFile stored) {
    Path path = stored.path();
    MappedFile file;
    try {
      file = MappedFile.open(path);
    } catch (NoSuchFileException e) {
      throw new KvStoreException(path + ": the store does not have it any more", e);
    } catch (IOException e) {
      throw new KvStoreException(path + ": cannot be read: " + e, e);
    }
    StoreReader reader = new StoreReader(stored.layout(), file);
    try {
      reader.check();
      return reader;
    } catch (InternalError e) {
      reader.close();
      throw lost(path, e);
    } catch (RuntimeException | Error e) {
      reader.close();
      throw e;
    }
  }

  /** What is thrown when a page of the mapped file is gone. */
  static KvStoreException lost(Path path, InternalError e) {
    return new KvStoreException(path + ": was shortened while it was read, or its disk failed", e);
  }

  private void check() {
    MemorySegment bytes = file.segment();
    byte[] header = new byte[(int) Math.min(bytes.byteSize(), layout.headerBytes())];
    MemorySegment.copy(bytes, 0, MemorySegment.ofArray(header), 0, header.length);
    KvStore.requireSound(file.path(), layout, header, bytes.byteSize());
    MemorySegment sums = MemorySegment.ofArray(header).asSlice(layout.checksumsStart());
    int layers = layout.spec().layers().size();
    IntStream.range(0, layers)
        .parallel()
        .filter(layer -> checksum(layer) != sums.getAtIndex(INT, layer))
        .boxed()
        .findFirst()
        .ifPresent(
            layer -> {
              throw new KvStoreException(
                  "%s: keys and values of layer %d are damaged".formatted(file.path(), layer));
            });
  }

  private int checksum(int layer) {
    CRC32C crc = new CRC32C();
    byte[] chunk = new byte[CHUNK];
    long end = layout.sectionStart(layer) + layout.sectionBytes(layer);
    for (long at = layout.sectionStart(layer); at < end; at += CHUNK) {
      int count = (int) Math.min(CHUNK, end - at);
      MemorySegment.copy(file.segment(), ValueLayout.JAVA_BYTE, at, chunk, 0, count);
      crc.update(chunk, 0, count);
    }
    return (int) crc.getValue();
  }

  /** Copies the record of a token, counted in the file, which the layer keeps. */
  void read(int layer, int token, byte[] target) {
    KvSpec.Layer sizes = layout.spec().layers().get(layer);
    int bytes = StoreLayout.recordBytes(sizes);
    long at = layout.sectionStart(layer) + (long) (token - layout.firstKept(layer)) * bytes;
    MemorySegment.copy(file.segment(), ValueLayout.JAVA_BYTE, at, target, 0, bytes);
  }

  @Override
  public void close() {
    file.close();
  }
}
