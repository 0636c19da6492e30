package dev.jacquard.modelfile;

import dev.jacquard.memory.JacquardException;
import java.nio.file.Path;

/**
 * A model file is not what it should be: says which file, where, what was expected and what was
 * found.
 */
public class ModelFormatException extends JacquardException {
  private static final long serialVersionUID = 1L;

  /**
   * A fault in a file.
   *
   * @param offset byte offset of the faulty place, or −1 if it has none
   * @param expected what should be there
   * @param found what is there
   */
  public ModelFormatException(Path file, long offset, String expected, String found) {
    super(
        file
            + (offset >= 0 ? ", byte " + offset : "")
            + ": expected "
            + expected
            + ", found "
            + found);
  }
}
