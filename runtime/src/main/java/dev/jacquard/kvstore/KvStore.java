package dev.jacquard.kvstore;

import dev.jacquard.attention.KvSequence;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.Program;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * Keys and values of files, one file on disk for each (model, tokens), in a folder that several
 * processes may share. If the folder grows beyond its bound, what was not used for longest goes
 * first. docs/kv-store.md describes the format.
 *
 * <p>Any thread may call it.
 */
public final class KvStore {
  static final String SUFFIX = ".kv";

  /** Ends names of files that are being written; those that nobody writes any more are removed. */
  public static final String PART_SUFFIX = ".part";

  /** Ends names of files that say how models are named here; they belong to whoever names them. */
  public static final String MODEL_SUFFIX = ".model";

  private static final System.Logger LOG = System.getLogger(KvStore.class.getName());

  private static final int LOOK_EACH = 64;

  /** A file that was created a moment ago may not be locked by its writer yet. */
  private static final Duration FRESH = Duration.ofMinutes(1);

  /**
   * A file of the store, of any model.
   *
   * @param path where it is
   * @param bytes its length
   * @param used when it was written or last placed
   */
  public record Entry(Path path, long bytes, Instant used) {}

  private final Path folder;
  private final long maxBytes;
  private final String model;
  private final Program program;
  private final List<KvSite> sites;
  private long evicted;
  private long known;
  private int taken;

  /**
   * A store for the files of one model.
   *
   * @param folder is created if it does not exist
   * @param maxBytes most bytes of all files in it, those of other models included
   * @param model name of the model's content: models with one name have the same bytes
   * @param program what computes the keys and values
   * @throws KvStoreException if there can be no such folder
   */
  public KvStore(Path folder, long maxBytes, String model, Program program) {
    this.folder = folder;
    this.maxBytes = maxBytes;
    this.model = model;
    this.program = program;
    sites = KvSite.of(program);
    try {
      Files.createDirectories(folder);
      removeAbandoned(folder);
    } catch (IOException e) {
      throw new KvStoreException(
          folder + ": cannot be used as a store of keys and values: " + e, e);
    }
  }

  /** The folder. */
  public Path folder() {
    return folder;
  }

  /** Name of the model's content. */
  public String model() {
    return model;
  }

  /** Files that this object has let go because the store was full. */
  public synchronized long evicted() {
    return evicted;
  }

  List<KvSite> sites() {
    return sites;
  }

  /**
   * The stored file of these tokens, if there is a sound one. A file of this name that is not what
   * it should be is removed, after a line in the log.
   *
   * @param lead ids that stood before the file's when it was computed
   * @param ids its tokens; not to be changed any more
   */
  public Optional<StoredFile> find(int[] lead, int[] ids) {
    StoreLayout layout = new StoreLayout(model, program.kv(), lead, ids);
    Path path = folder.resolve(layout.fileName());
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      byte[] header = new byte[Math.toIntExact(Math.min(channel.size(), layout.headerBytes()))];
      ByteBuffer buffer = ByteBuffer.wrap(header);
      while (buffer.hasRemaining() && channel.read(buffer) >= 0) {}
      requireSound(path, layout, header, channel.size());
      return Optional.of(new StoredFile(path, layout));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      LOG.log(Level.WARNING, path + ": cannot be read; the file is computed anew: " + e);
      return Optional.empty();
    } catch (KvStoreException e) {
      remove(path, e);
      return Optional.empty();
    }
  }

  /** Checks the header of a file against what it must be. */
  static void requireSound(Path path, StoreLayout layout, byte[] header, long fileBytes) {
    byte[] wanted = layout.header(new int[layout.spec().layers().size()]);
    int fixed = StoreLayout.FIXED_BYTES;
    if (header.length < fixed) {
      throw new KvStoreException(path + ": is truncated, to " + fileBytes + " bytes");
    }
    ByteBuffer in = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
    if (in.getLong(0) != StoreLayout.MAGIC) {
      throw new KvStoreException(path + ": is no file of keys and values");
    }
    if (in.getInt(Long.BYTES) != StoreLayout.VERSION) {
      throw new KvStoreException(
          "%s: was written in version %d of the format; this program writes %d"
              .formatted(path, in.getInt(Long.BYTES), StoreLayout.VERSION));
    }
    if (fileBytes < wanted.length) {
      throw new KvStoreException(path + ": is truncated, to " + fileBytes + " bytes");
    }
    int model = fixed + layout.model().getBytes(StandardCharsets.UTF_8).length;
    if (!Arrays.equals(header, fixed, model, wanted, fixed, model)) {
      throw new KvStoreException(path + ": was made by another model");
    }
    int end = layout.checksumsStart();
    if (!Arrays.equals(header, 0, end, wanted, 0, end)) {
      throw new KvStoreException(path + ": is of other tokens or layers, or damaged");
    }
    CRC32C crc = new CRC32C();
    crc.update(header, 0, header.length - Integer.BYTES);
    if (in.getInt(header.length - Integer.BYTES) != (int) crc.getValue()) {
      throw new KvStoreException(path + ": its header is damaged");
    }
    if (fileBytes != layout.fileBytes()) {
      throw new KvStoreException(
          "%s: has %d bytes instead of %d".formatted(path, fileBytes, layout.fileBytes()));
    }
  }

  /**
   * Begins to store a file: its tokens are to be computed while the recorder looks on, from
   * position 0 of a sequence of their own. The caller closes the recorder.
   *
   * @param lead ids that stand before the file's and are not kept, as BOS
   * @param ids its tokens, at least one; not to be changed any more
   * @throws KvStoreException if the store cannot take it
   */
  public KvRecorder record(int[] lead, int[] ids) {
    if (ids.length == 0) {
      throw new IllegalArgumentException("there are no tokens to store");
    }
    StoreLayout layout = new StoreLayout(model, program.kv(), lead, ids);
    if (layout.fileBytes() > maxBytes) {
      throw new KvStoreException(
          "keys and values of %d tokens take %d bytes, more than the whole store may have (%d); allow it more"
              .formatted(ids.length, layout.fileBytes(), maxBytes));
    }
    try {
      return new KvRecorder(this, layout, program.ops().size());
    } catch (IOException e) {
      throw cannotWrite(folder, e);
    }
  }

  /**
   * Places a stored file's keys and values at the end of a sequence: keys turned to their new
   * positions, both rounded to the format of the cache. Engine thread.
   *
   * @param start position of the file's first token; those before the end of the sequence are there
   *     already
   * @param to the position up to which its tokens are placed
   * @throws KvStoreException if it is gone or damaged; a damaged file is removed. The sequence may
   *     have grown, by content that must not be used
   * @throws dev.jacquard.attention.KvCacheFullException if the cache has no room; the sequence is
   *     unchanged
   */
  public void place(StoredFile file, int start, int to, KvSequence sequence, KvStorage storage) {
    try (StoreReader reader = StoreReader.open(file)) {
      int from = sequence.length();
      KvView[] places = new KvView[storage.spec().groupWindows().size()];
      Arrays.setAll(places, g -> new KvView());
      sequence.insert(to - from, places);
      new Placer(reader, file.layout(), sites, storage, start, places).place(from, to);
      touch(file.path());
    } catch (InternalError e) {
      throw StoreReader.lost(file.path(), e);
    } catch (KvStoreException e) {
      remove(file.path(), e);
      throw e;
    }
  }

  KvStoreException cannotWrite(Path path, IOException e) {
    return new KvStoreException(
        "%s: keys and values cannot be written (%s); what was stored before is safe: free space there, or use another folder"
            .formatted(path, e.getMessage()),
        e);
  }

  /**
   * Lets files go until there is room for {@code file}, and moves it in. The folder is looked
   * through when it may be full, and now and then, since other processes fill it too.
   */
  synchronized void takeIn(StoredFile file, Path part) throws IOException {
    known += file.bytes();
    if (known > maxBytes || taken % LOOK_EACH == 0) {
      known = makeRoom(file);
    }
    taken++;
    Files.move(
        part, file.path(), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Returns the bytes of all files, with {@code file}. */
  private long makeRoom(StoredFile file) throws IOException {
    List<Entry> others = new ArrayList<>(entries(folder));
    others.removeIf(e -> e.path().equals(file.path())); // it is replaced
    long total = file.bytes() + others.stream().mapToLong(Entry::bytes).sum();
    for (Entry entry : others) {
      if (total <= maxBytes) {
        break;
      }
      Files.deleteIfExists(entry.path());
      total -= entry.bytes();
      evicted++;
    }
    return total;
  }

  /** Removes a file that must not be used. */
  void remove(Path path, KvStoreException reason) {
    try {
      if (Files.deleteIfExists(path)) {
        LOG.log(Level.WARNING, reason.getMessage() + "; it is removed");
      }
    } catch (IOException e) {
      LOG.log(Level.WARNING, path + ": cannot be removed", e);
    }
  }

  /** Takes note that a file was used; the store may be read-only. */
  static void touch(Path path) {
    try {
      Files.setLastModifiedTime(path, FileTime.from(Instant.now()));
    } catch (IOException e) {
      LOG.log(Level.DEBUG, path + ": the time of its last use cannot be set", e);
    }
  }

  /**
   * All files of a store, of any model, those that were not used for longest first.
   *
   * @throws IOException if the folder cannot be read
   */
  public static List<Entry> entries(Path folder) throws IOException {
    List<Entry> entries = new ArrayList<>();
    try (Stream<Path> paths = Files.list(folder)) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        if (path.toString().endsWith(SUFFIX)) {
          try {
            var attributes = Files.readAttributes(path, BasicFileAttributes.class);
            Instant used = attributes.lastModifiedTime().toInstant();
            entries.add(new Entry(path, attributes.size(), used));
          } catch (NoSuchFileException e) {
            LOG.log(Level.DEBUG, "{0} was removed by somebody else", path);
          }
        }
      }
    } catch (NoSuchFileException e) {
      return List.of();
    }
    entries.sort(Comparator.comparing(Entry::used).thenComparing(Entry::path));
    return entries;
  }

  /**
   * Removes all files of a store, of any model, and the names of the models, but what somebody
   * writes at the moment.
   *
   * @return what was removed
   * @throws IOException if one cannot be removed
   */
  public static List<Entry> clear(Path folder) throws IOException {
    List<Entry> entries = entries(folder);
    for (Entry entry : entries) {
      Files.deleteIfExists(entry.path());
    }
    if (Files.exists(folder)) {
      removeAbandoned(folder);
      try (Stream<Path> paths = Files.list(folder)) {
        for (Path path : (Iterable<Path>) paths::iterator) {
          if (path.toString().endsWith(MODEL_SUFFIX)) {
            Files.deleteIfExists(path);
          }
        }
      }
    }
    return entries;
  }

  /** Removes files whose writers are gone: nobody holds their lock. */
  private static void removeAbandoned(Path folder) throws IOException {
    Instant recent = Instant.now().minus(FRESH);
    try (Stream<Path> paths = Files.list(folder)) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        if (path.toString().endsWith(PART_SUFFIX)) {
          removeIfAbandoned(path, recent);
        }
      }
    }
  }

  private static void removeIfAbandoned(Path part, Instant recent) {
    try (FileChannel channel = FileChannel.open(part, StandardOpenOption.WRITE)) {
      if (Files.getLastModifiedTime(part).toInstant().isBefore(recent)) {
        FileLock lock = channel.tryLock();
        if (lock != null) {
          Files.deleteIfExists(part);
        }
      }
    } catch (OverlappingFileLockException e) {
      LOG.log(Level.DEBUG, "{0} is being written by this process", part);
    } catch (IOException e) {
      LOG.log(Level.DEBUG, part + " cannot be removed", e);
    }
  }
}
