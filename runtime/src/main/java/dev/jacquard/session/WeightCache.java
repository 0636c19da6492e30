package dev.jacquard.session;

import dev.jacquard.memory.JacquardException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The folder where backends keep repacked weights, one file for each (model, backend). If these
 * files take more than 20 GB, or than the system property {@code jacquard.cache.gigabytes} says,
 * what was not used for longest goes.
 */
public final class WeightCache {
  private static final System.Logger LOG = System.getLogger(WeightCache.class.getName());
  private static final String PROPERTY = "jacquard.cache";
  private static final String SIZE_PROPERTY = "jacquard.cache.gigabytes";
  private static final int DEFAULT_GIGABYTES = 20;

  /** A fingerprint and a backend; nothing else in the folder is removed. */
  private static final Pattern NAME = Pattern.compile("[0-9a-f]{32}\\.[a-z0-9_-]+");

  private record Entry(Path path, long bytes, FileTime used) {}

  private WeightCache() {}

  /** The folder; empty if the property says {@code none}. It need not exist. */
  public static Optional<Path> folder() {
    return Optional.ofNullable(file(""));
  }

  /** The file of that name in the cache folder; null if the property says {@code none}. */
  static @Nullable Path file(String name) {
    return file(
        System.getProperty(PROPERTY),
        System.getenv("XDG_CACHE_HOME"),
        System.getProperty("user.home"),
        name);
  }

  static @Nullable Path file(
      @Nullable String property, @Nullable String xdg, String home, String name) {
    if ("none".equals(property)) {
      return null;
    }
    if (property != null && !property.isEmpty()) {
      return Path.of(property, name);
    }
    // The XDG base directory specification: relative paths are invalid and ignored.
    boolean valid = xdg != null && Path.of(xdg).isAbsolute();
    return valid ? Path.of(xdg, "jacquard", name) : Path.of(home, ".cache", "jacquard", name);
  }

  /**
   * Takes note that a file was used, then removes those that were not used for longest until the
   * folder is within its bound; {@code file} itself stays. A process that has mapped a removed file
   * keeps it until it ends (on Windows such a file cannot be removed and stays). What cannot be
   * read or removed is left alone: a cache must not be in the way.
   */
  static void used(Path file) {
    used(file, Long.getLong(SIZE_PROPERTY, DEFAULT_GIGABYTES) * 1_000_000_000L);
  }

  /**
   * Removes a file that was last used before its model was changed: an edit in place may leave the
   * fingerprint as it was. Then the weights are packed anew.
   */
  static void dropIfOlder(Path file, FileTime model) {
    try {
      if (Files.exists(file) && Files.getLastModifiedTime(file).compareTo(model) < 0) {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new JacquardException(
          file + ": cannot be removed, though the model changed after it was written", e);
    }
  }

  static void used(Path file, long maxBytes) {
    try {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
      List<Entry> others = new ArrayList<>(entries(file.resolveSibling("")));
      others.removeIf(e -> e.path.getFileName().equals(file.getFileName()));
      others.sort(Comparator.comparing(Entry::used));
      long bytes = Files.size(file) + others.stream().mapToLong(Entry::bytes).sum();
      for (Entry entry : others) {
        if (bytes <= maxBytes) {
          break;
        }
        Files.deleteIfExists(entry.path);
        bytes -= entry.bytes;
        LOG.log(Level.DEBUG, "{0} was not used for longest and is removed", entry.path);
      }
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "the cache of weights is not looked through", e);
    }
  }

  private static List<Entry> entries(Path folder) throws IOException {
    List<Entry> entries = new ArrayList<>();
    try (Stream<Path> paths = Files.list(folder)) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        if (NAME.matcher(path.getFileName().toString()).matches()) {
          try {
            var attributes = Files.readAttributes(path, BasicFileAttributes.class);
            entries.add(new Entry(path, attributes.size(), attributes.lastModifiedTime()));
          } catch (NoSuchFileException e) {
            LOG.log(Level.DEBUG, "{0} was removed by another process", path);
          }
        }
      }
    }
    return entries;
  }
}
