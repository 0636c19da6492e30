package dev.jacquard.kvstore;

import java.nio.file.Path;

/**
 * A file whose keys and values the store has. It holds nothing open: if the store lets it go, or
 * somebody damages it, that is noticed when it is placed.
 */
public final class StoredFile {
  private final Path path;
  private final StoreLayout layout;

  StoredFile(Path path, StoreLayout layout) {
    this.path = path;
    this.layout = layout;
  }

  /** Its tokens, without what stood before them when they were computed; not to be changed. */
  public int[] ids() {
    return layout.ids();
  }

  /** The ids that stood before them when they were computed; not to be changed. */
  public int[] lead() {
    return layout.lead();
  }

  /** Number of tokens. */
  public int tokens() {
    return layout.ids().length;
  }

  /** Bytes that it takes on disk. */
  public long bytes() {
    return layout.fileBytes();
  }

  /** Where it is. */
  public Path path() {
    return path;
  }

  StoreLayout layout() {
    return layout;
  }
}
