package dev.jacquard.session;

import java.nio.file.Path;

/** Where users of the library begin. */
public final class Jacquard {
  private Jacquard() {}

  /**
   * Opens a model: maps the file, checks it, compiles its program for a backend and starts the
   * engine thread.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if the file is not a model we can run
   * @throws dev.jacquard.kernels.BackendException if the backend cannot run it
   * @throws dev.jacquard.memory.JacquardException if there is too little memory, said before
   *     loading
   */
  public static Model open(Path file, ModelOptions options) {
    throw new UnsupportedOperationException(file + " " + options);
  }
}
