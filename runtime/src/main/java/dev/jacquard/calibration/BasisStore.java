package dev.jacquard.calibration;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.memory.JacquardException;
import dev.jacquard.modelfile.ModelFile;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where the bases of a model are kept: in a file beside it, or, where that cannot be written, in
 * the cache folder. Any thread may call it.
 */
public final class BasisStore {
  private static final System.Logger LOGGER = System.getLogger(BasisStore.class.getName());
  private static final String SUFFIX = ".basis.gguf";

  private final ModelFile file;
  private final KvSpec spec;
  private final Path beside;
  private final @Nullable Path cacheFolder;
  private @Nullable String model;

  /**
   * The store of one model, which must be open whenever this is called.
   *
   * @param spec what its layers remember
   * @param cacheFolder the folder of caches, or null for none
   */
  public BasisStore(ModelFile file, KvSpec spec, @Nullable Path cacheFolder) {
    this.file = file;
    this.spec = spec;
    this.cacheFolder = cacheFolder;
    String name = file.path().getFileName().toString();
    String stem = name.endsWith(".gguf") ? name.substring(0, name.length() - 5) : name;
    beside = file.path().resolveSibling(stem + SUFFIX);
  }

  /** The model's key, computed when it is first asked for: it reads a little of every tensor. */
  private synchronized String model() {
    String key = model;
    if (key == null) {
      key = ModelKey.of(file);
      model = key;
    }
    return key;
  }

  private @Nullable Path cached() {
    return cacheFolder == null ? null : cacheFolder.resolve(model().substring(0, 32) + SUFFIX);
  }

  /**
   * The bases of this model, if they were saved. A file that is of another model or broken is not
   * used: a line in the log says what is wrong with it.
   */
  public Optional<Calibration> load() {
    return Stream.of(Optional.of(beside), Optional.ofNullable(cached()))
        .flatMap(Optional::stream)
        .filter(Files::exists)
        .flatMap(path -> read(path).stream())
        .findFirst();
  }

  private Optional<Calibration> read(Path path) {
    try {
      return Optional.of(BasisFile.read(path, model(), spec));
    } catch (JacquardException e) {
      LOGGER.log(
          Level.WARNING,
          "the bases of sketches cannot be used; make them anew with 'jacquard calibrate': "
              + e.getMessage());
      return Optional.empty();
    }
  }

  /**
   * Saves bases beside the model, or else in the cache folder.
   *
   * @return where they are
   * @throws JacquardException if neither can be written
   */
  public Path save(Calibration calibration) {
    try {
      BasisFile.write(beside, model(), calibration);
      return beside;
    } catch (IOException e) {
      return saveInCache(calibration, e);
    }
  }

  /**
   * Saves bases in the cache folder, as those that were made on the way are.
   *
   * @return where they are; empty without a cache folder
   * @throws JacquardException if they cannot be written
   */
  public Optional<Path> saveInCache(Calibration calibration) {
    Path path = cached();
    return path == null ? Optional.empty() : Optional.of(saveInCache(calibration, null));
  }

  private Path saveInCache(Calibration calibration, @Nullable IOException first) {
    Path path = cached();
    try {
      if (path == null) {
        throw first == null ? new IOException("there is no cache folder") : first;
      }
      Files.createDirectories(path.getParent());
      BasisFile.write(path, model(), calibration);
      return path;
    } catch (IOException e) {
      if (first != null && first != e) {
        e.addSuppressed(first);
      }
      throw new JacquardException(
          "the bases cannot be saved in %s%s: %s"
              .formatted(beside, path == null ? "" : " or " + path, e.getMessage()),
          e);
    }
  }
}
