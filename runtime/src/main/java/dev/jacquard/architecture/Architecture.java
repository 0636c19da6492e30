package dev.jacquard.architecture;

import dev.jacquard.kernels.Program;
import dev.jacquard.modelfile.ModelFile;

/**
 * Writes a model of one family down as a {@link Program}. Stateless; one file per family and one
 * line in {@link Architectures}.
 */
public interface Architecture {
  /** The family's name in {@code general.architecture}. */
  String name();

  /**
   * The program of a file.
   *
   * @throws dev.jacquard.modelfile.ModelFormatException if metadata or tensors are missing, or
   *     shapes contradict the metadata
   */
  Program program(ModelFile file);
}
