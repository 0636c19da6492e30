package dev.jacquard.repository;

import java.util.List;

/**
 * A part of a file that has a name. A doc comment or line comments directly before a declaration
 * belong to it.
 *
 * @param kind what it is
 * @param name simple name, of a constructor its type's; of a package the whole name; of a block its
 *     first line, shortened
 * @param start first character, counted in UTF-16 units of the text
 * @param end the character after its last
 * @param firstLine line of its first character, from 1
 * @param lastLine line of its last character
 * @param children what it contains, in order of position
 */
public record Symbol(
    Kind kind,
    String name,
    int start,
    int end,
    int firstLine,
    int lastLine,
    List<Symbol> children) {
  /** Kinds of symbols. */
  public enum Kind {
    /** The declaration of a package. */
    PACKAGE,
    /** A class, interface, enum, record or annotation interface; or the module of a module-info. */
    TYPE,
    /** A field, an enum constant, or a component of a record. */
    FIELD,
    /** A method. */
    METHOD,
    /** A constructor, compact ones included. */
    CONSTRUCTOR,
    /** Some lines of a file whose symbols are not known. */
    BLOCK
  }

  /** Checks and copies. */
  public Symbol {
    if (start < 0 || end < start) {
      throw new IllegalArgumentException(kind + " " + name + " from " + start + " to " + end);
    }
    children = List.copyOf(children);
  }
}
