package dev.jacquard.kvstore;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Writes a file of the store while the model computes its tokens: the keys as they are before they
 * are turned, and the values, layer by layer and step by step. What is computed goes to a file of
 * another name, which is forced to the disk and renamed when it is complete; if the process dies
 * before, the next one removes it.
 *
 * <p>{@link #begin}, {@link #after} and {@link #end} are called by whoever runs the steps, {@link
 * #finish} or {@link #close} when all are done. One thread at a time.
 */
public final class KvRecorder implements AutoCloseable {
  private final KvStore store;
  private final StoreLayout layout;
  private final @Nullable KvSite[] keySites;
  private final @Nullable KvSite[] writeSites;
  private final Path part;
  private final FileChannel channel;
  private final CRC32C[] checksums;
  private byte[] block = new byte[0];
  private float[] numbers = new float[0];
  private int firstRow;
  private int firstPosition;
  private int rows;
  private int recorded;
  private int layerOfKeys;
  private @Nullable RuntimeException failure;

  /** A recorder that writes to a new file in the store's folder. */
  KvRecorder(KvStore store, StoreLayout layout, int ops) throws IOException {
    this.store = store;
    this.layout = layout;
    keySites = new KvSite[ops];
    writeSites = new KvSite[ops];
    for (KvSite site : store.sites()) {
      keySites[site.keyIndex()] = site;
      writeSites[site.writeIndex()] = site;
    }
    checksums =
        IntStream.range(0, layout.spec().layers().size())
            .mapToObj(l -> new CRC32C())
            .toArray(CRC32C[]::new);
    part = Files.createTempFile(store.folder(), layout.fileName() + ".", KvStore.PART_SUFFIX);
    try {
      channel = FileChannel.open(part, StandardOpenOption.WRITE);
      channel.lock(); // says that somebody still writes it; freed when the channel is closed
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(part);
      throw e;
    }
  }

  /** The tokens to compute, from position 0: the file's, and before them what is not kept. */
  public int[] tokens() {
    return IntStream.concat(IntStream.of(layout.lead()), IntStream.of(layout.ids())).toArray();
  }

  /** A step begins, of which rows {@code firstRow} on hold these positions of the file. */
  public void begin(int firstRowOfStep, int position, int rowsOfStep) {
    firstRow = firstRowOfStep;
    firstPosition = position;
    rows = rowsOfStep;
    layerOfKeys = -1;
  }

  /** Op {@code index} has just written its slots; never throws, see {@link #end}. */
  public void after(int index, Executable executable) {
    KvSite key = keySites[index];
    KvSite write = writeSites[index];
    if (failure != null) {
      return;
    }
    try {
      if (key != null) {
        encode(key, executable, true);
        layerOfKeys = key.layer();
      }
      if (write != null) {
        requireKeys(write.layer());
        encode(write, executable, false);
        write(write.layer());
      }
    } catch (IOException e) {
      failure = store.cannotWrite(part, e);
    } catch (KvStoreException e) {
      failure = e;
    }
  }

  /** A backend may fuse ops and tell of the last one only. */
  private void requireKeys(int layer) {
    if (layerOfKeys != layer) {
      throw new KvStoreException(
          "the backend does not show the keys of layer "
              + layer
              + " before they are turned: store files with another one");
    }
  }

  /** The first row of the step whose token is kept in a layer, counted from {@link #firstRow}. */
  private int firstKeptRow(int layer) {
    int first = layout.lead().length + layout.firstKept(layer);
    return Math.clamp(first - firstPosition, 0, rows);
  }

  private void encode(KvSite site, Executable executable, boolean keys) {
    KvSpec.Layer layer = layout.spec().layers().get(site.layer());
    int recordBytes = StoreLayout.recordBytes(layer);
    if (block.length < rows * recordBytes) {
      block = new byte[rows * recordBytes];
    }
    int width = keys ? site.key().width() : site.value().width();
    if (numbers.length < rows * width) {
      numbers = new float[rows * width];
    }
    int from = firstKeptRow(site.layer());
    for (int row = from; row < rows; row++) {
      executable.read(keys ? site.key() : site.value(), firstRow + row, numbers, row * width);
    }
    int size = keys ? layer.keySize() : layer.valueSize();
    int bytes = keys ? QuantizedKv.keyBytes(size) : QuantizedKv.valueBytes(size);
    int start = keys ? 0 : StoreLayout.keyBytes(layer);
    boolean finite =
        IntStream.range(from, rows)
            .parallel()
            .allMatch(
                row -> {
                  boolean all = true;
                  for (int head = 0; head < layer.heads(); head++) {
                    int at = row * recordBytes + start + head * bytes;
                    all &= Q8Vectors.encode(numbers, row * width + head * size, size, block, at);
                  }
                  return all;
                });
    if (!finite) {
      throw new KvStoreException(
          "the model computes numbers that are not finite in layer %d, positions %d to %d: the file is not stored"
              .formatted(site.layer(), firstPosition, firstPosition + rows - 1));
    }
  }

  private void write(int layer) throws IOException {
    int recordBytes = StoreLayout.recordBytes(layout.spec().layers().get(layer));
    int from = firstKeptRow(layer);
    int count = (rows - from) * recordBytes;
    if (count == 0) {
      return;
    }
    int token = firstPosition + from - layout.lead().length - layout.firstKept(layer);
    checksums[layer].update(block, from * recordBytes, count);
    write(
        ByteBuffer.wrap(block, from * recordBytes, count),
        layout.sectionStart(layer) + (long) token * recordBytes);
  }

  private void write(ByteBuffer bytes, long position) throws IOException {
    long at = position;
    while (bytes.hasRemaining()) {
      at += channel.write(bytes, at);
    }
  }

  /**
   * The step is done.
   *
   * @throws KvStoreException if something could not be written
   */
  public void end() {
    if (failure != null) {
      throw failure;
    }
    recorded += rows;
  }

  /**
   * Completes the file: from now on the store has it.
   *
   * @throws KvStoreException if the disk does not take it
   * @throws IllegalStateException if not all tokens were computed
   */
  public StoredFile finish() {
    if (recorded != layout.lead().length + layout.ids().length) {
      throw new IllegalStateException(recorded + " of the tokens were computed");
    }
    try {
      int[] crcs =
          IntStream.range(0, checksums.length).map(l -> (int) checksums[l].getValue()).toArray();
      write(ByteBuffer.wrap(layout.header(crcs)), 0);
      channel.force(true);
      StoredFile file = new StoredFile(store.folder().resolve(layout.fileName()), layout);
      store.takeIn(file, part);
      return file;
    } catch (IOException e) {
      throw store.cannotWrite(part, e);
    }
  }

  /** Gives up what was not finished. Twice does nothing. */
  @Override
  public void close() {
    try (channel) {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      throw store.cannotWrite(part, e);
    }
  }
}
