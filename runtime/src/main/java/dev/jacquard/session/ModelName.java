package dev.jacquard.session;

import dev.jacquard.kvstore.KvStore;
import dev.jacquard.modelfile.ModelFile;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.function.DoubleConsumer;

/**
 * The name under which a model's keys and values are stored: the hash of all its bytes. To read
 * them once only, a store remembers it in {@code <fingerprint>.model}: the {@link ModelFile#stamp}
 * that the files had, and the hash.
 */
final class ModelName {
  private static final System.Logger LOG = System.getLogger(ModelName.class.getName());
  private static final String VERSION = "model name 1";

  /** Two edits within this time may have the same stamp: clocks of file systems are coarse. */
  private static final Duration FRESH = Duration.ofSeconds(2);

  private ModelName() {}

  /**
   * The name of a model, read from the store if the model's files were not touched since, computed
   * otherwise.
   *
   * @param folder of the store; is created if it does not exist
   * @param progress told the finished share, 0 to 1, while it is computed; may throw to stop
   * @throws dev.jacquard.memory.JacquardException if the model was changed since it was opened
   */
  static String of(ModelFile model, Path folder, DoubleConsumer progress) {
    model.requireUnchanged();
    Path path = folder.resolve(model.fingerprint() + KvStore.MODEL_SUFFIX);
    try {
      List<String> lines = Files.exists(path) ? Files.readAllLines(path) : List.of();
      if (lines.size() == 3 && lines.get(0).equals(VERSION) && lines.get(1).equals(model.stamp())) {
        return lines.get(2);
      }
    } catch (IOException e) {
      LOG.log(Level.WARNING, path + ": cannot be read; the model is read instead: " + e);
    }
    String name = model.contentHash(progress);
    if (model.modified().toInstant().isBefore(Instant.now().minus(FRESH))) {
      remember(path, List.of(VERSION, model.stamp(), name));
    }
    return name;
  }

  private static void remember(Path path, List<String> lines) {
    try {
      Files.createDirectories(path.getParent());
      Path part = Files.createTempFile(path.getParent(), "model", KvStore.PART_SUFFIX);
      Files.write(part, lines);
      Files.move(part, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      LOG.log(Level.WARNING, path + ": cannot be written; the model is read again next time: " + e);
    }
  }
}
