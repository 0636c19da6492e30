package dev.jacquard.cli;

import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which model file a command reads. */
final class ModelFlag {
  private static final String BUNDLED = "runtime/models/java-7m.Q8_0.gguf";

  @Option(
      names = {"-m", "--model"},
      paramLabel = "FILE",
      description = "GGUF model; the first file of a split one (default: the bundled java-7m).")
  private @Nullable Path given;

  /** The file that was named, or the bundled model. */
  Path path() {
    return given == null ? bundled() : given;
  }

  /**
   * The bundled model: where the launcher says, or in the checkout that this class was built in.
   */
  static Path bundled() {
    String told = System.getProperty("jacquard.model");
    if (told != null) {
      return Path.of(told);
    }
    for (Path folder = ownFolder(); folder != null; folder = folder.getParent()) {
      Path candidate = folder.resolve(BUNDLED);
      if (Files.exists(candidate)) {
        return candidate;
      }
    }
    throw new InputException(
        "the bundled model was not found; name a model with -m, or start the program with the"
            + " script 'jacquard'");
  }

  private static @Nullable Path ownFolder() {
    CodeSource source = ModelFlag.class.getProtectionDomain().getCodeSource();
    try {
      return source == null ? null : Path.of(source.getLocation().toURI());
    } catch (URISyntaxException e) {
      return null;
    }
  }
}
