package dev.jacquard.repository;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Reads a folder of sources: lists its files, leaves out what is ignored, binary or too large, and
 * finds the symbols of the rest. The same content gives the same result on every machine.
 *
 * <p>Java is parsed by the JDK's compiler; where the running Java has no module jdk.compiler, and
 * in other languages, files are cut into blocks. What cannot be read is listed with its reason and
 * never ends the reading. One reader may be used by one thread at a time.
 */
public final class RepositoryReader {
  /** Files above this size are hardly ever written by people: 1 MiB. */
  public static final long DEFAULT_MAX_FILE_BYTES = 1 << 20;

  private static final System.Logger LOG = System.getLogger(RepositoryReader.class.getName());
  private static final AtomicBoolean COMPILER_MISSED = new AtomicBoolean();

  /** A file with one of these names makes its folder a module. */
  private static final Set<String> BUILD_FILES =
      Set.of(
          "pom.xml",
          "build.gradle",
          "build.gradle.kts",
          "Cargo.toml",
          "package.json",
          "go.mod",
          "pyproject.toml",
          "setup.py",
          "CMakeLists.txt",
          "BUILD",
          "BUILD.bazel");

  /** Texts are parsed together up to so many characters. */
  private static final int BATCH_CHARS = 1 << 20;

  /** Is told of each file as soon as it is read. */
  @FunctionalInterface
  public interface Listener {
    /**
     * A file was read; files come in the order of their paths.
     *
     * @param done listed files that are dealt with, skipped ones included
     * @param total listed files
     */
    void file(RepositoryFile file, String text, int done, int total);
  }

  private record Pending(String path, FileContent.Text content, int done) {}

  private final long maxFileBytes;
  private final FileListing.FolderReader folders;

  /**
   * A reader.
   *
   * @param maxFileBytes larger files are skipped; from 1 to 1 GiB
   */
  public RepositoryReader(long maxFileBytes) {
    this(maxFileBytes, FileListing::entries);
  }

  RepositoryReader(long maxFileBytes, FileListing.FolderReader folders) {
    if (maxFileBytes < 1 || maxFileBytes > 1L << 30) {
      throw new IllegalArgumentException(
          "the largest file must have 1 byte to 1 GiB, not " + maxFileBytes + " bytes");
    }
    this.maxFileBytes = maxFileBytes;
    this.folders = folders;
  }

  /**
   * Reads a folder.
   *
   * @param listener may throw to end the reading
   * @throws RepositoryException if there is no such folder, or it cannot be read at all
   */
  public Repository read(Path folder, Listener listener) {
    Path root = root(folder);
    FileListing listing = new FileListing(root, folders);
    try (Reading reading = new Reading(listing, listener)) {
      reading.run();
      reading.skipped.sort(Comparator.comparing(SkippedPath::path));
      return new Repository(root, listing.inGit(), reading.files, reading.skipped);
    }
  }

  private static Path root(Path folder) {
    try {
      Path root = folder.toRealPath();
      if (!Files.isDirectory(root)) {
        throw new RepositoryException(
            folder + " is no folder; name the top folder of sources", null);
      }
      return root;
    } catch (NoSuchFileException e) {
      throw new RepositoryException(folder + ": there is no such folder", e);
    } catch (IOException e) {
      throw new RepositoryException(folder + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** One pass through the listed files. */
  private final class Reading implements AutoCloseable {
    private final FileListing listing;
    private final Listener listener;
    private final @Nullable JavaParser parser = javaParser();
    private final Set<String> modules = new HashSet<>();
    private final List<RepositoryFile> files = new ArrayList<>();
    private final List<SkippedPath> skipped;
    private final List<Pending> batch = new ArrayList<>();
    private long batchChars;

    Reading(FileListing listing, Listener listener) {
      this.listing = listing;
      this.listener = listener;
      this.skipped = new ArrayList<>(listing.skipped());
      for (String path : listing.files().keySet()) {
        if (BUILD_FILES.contains(path.substring(path.lastIndexOf('/') + 1))) {
          modules.add(parent(path));
        }
      }
    }

    void run() {
      int done = 0;
      for (Map.Entry<String, Path> entry : listing.files().entrySet()) {
        done++;
        switch (FileContent.read(entry.getValue(), maxFileBytes)) {
          case FileContent.Text content -> {
            batch.add(new Pending(entry.getKey(), content, done));
            batchChars += content.text().length();
          }
          case FileContent.Unusable(String reason) ->
              skipped.add(new SkippedPath(entry.getKey(), reason));
        }
        if (batchChars >= BATCH_CHARS) {
          flush();
        }
      }
      flush();
    }

    private void flush() {
      Iterator<Outline> parsed = parsed().iterator();
      for (Pending p : batch) {
        String text = p.content.text();
        Outline outline = isParsed(p) ? parsed.next() : TextBlocks.of(text);
        RepositoryFile file =
            new RepositoryFile(
                p.path,
                module(p.path),
                p.content.bytes(),
                p.content.hash(),
                Language.of(p.path),
                p.content.charset(),
                new LineIndex(text).lines(),
                outline.imports(),
                outline.symbols());
        files.add(file);
        listener.file(file, text, p.done, listing.files().size());
      }
      batch.clear();
      batchChars = 0;
    }

    private List<Outline> parsed() {
      List<String> texts =
          batch.stream().filter(this::isParsed).map(p -> p.content.text()).toList();
      return parser == null || texts.isEmpty() ? List.of() : parser.parse(texts);
    }

    private boolean isParsed(Pending p) {
      return parser != null && Language.of(p.path) == Language.JAVA;
    }

    private String module(String path) {
      String folder = parent(path);
      while (!folder.isEmpty() && !modules.contains(folder)) {
        folder = parent(folder);
      }
      return folder;
    }

    @Override
    public void close() {
      if (parser != null) {
        parser.close();
      }
    }
  }

  private static String parent(String path) {
    return path.substring(0, Math.max(0, path.lastIndexOf('/')));
  }

  private static @Nullable JavaParser javaParser() {
    if (ModuleLayer.boot().findModule("jdk.compiler").isPresent()) {
      return new JavaParser();
    }
    if (COMPILER_MISSED.compareAndSet(false, true)) {
      LOG.log(
          Level.WARNING,
          "this Java has no module jdk.compiler: Java sources are cut into blocks instead of"
              + " symbols; run on a full JDK for symbols");
    }
    return null;
  }
}
