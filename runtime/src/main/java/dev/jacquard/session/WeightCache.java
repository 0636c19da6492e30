package dev.jacquard.session;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The folder where backends keep repacked weights. */
final class WeightCache {
  private static final String PROPERTY = "jacquard.cache";

  private WeightCache() {}

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
}
