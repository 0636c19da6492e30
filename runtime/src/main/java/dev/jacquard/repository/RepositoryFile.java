package dev.jacquard.repository;

import java.util.List;

/**
 * A text file of a repository.
 *
 * @param path relative to the repository, with {@code /}
 * @param module path of the folder nearest to it that has a build file, as {@code pom.xml}; empty
 *     if that is the repository itself, or if there is none
 * @param bytes size
 * @param hash SHA-256 of its bytes, in hexadecimal digits
 * @param language by its name
 * @param charset how its bytes were read: UTF-8, UTF-16LE, UTF-16BE, or ISO-8859-1 for what is none
 *     of these
 * @param lines number of lines; the last one need not end with a line end
 * @param imports qualified names that a Java file imports, without {@code .*}
 * @param symbols what it declares, or its blocks, in order of position; empty for an empty file
 */
public record RepositoryFile(
    String path,
    String module,
    long bytes,
    String hash,
    Language language,
    String charset,
    int lines,
    List<String> imports,
    List<Symbol> symbols) {
  /** Copies. */
  public RepositoryFile {
    imports = List.copyOf(imports);
    symbols = List.copyOf(symbols);
  }
}
