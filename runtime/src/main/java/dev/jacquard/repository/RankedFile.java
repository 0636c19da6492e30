package dev.jacquard.repository;

import java.util.List;

/**
 * A file and what a question has to do with it.
 *
 * @param score 0 if nothing; only to be compared with other scores of the same ranking
 * @param terms terms of the question that the file has, the most telling ones first
 * @param neighbour the file, if any, that gave it the larger part of its score, because one of the
 *     two imports the other; empty otherwise
 * @param symbols its innermost symbols that have terms of the question, best first
 */
public record RankedFile(
    RepositoryFile file,
    double score,
    List<String> terms,
    String neighbour,
    List<RankedSymbol> symbols) {
  /** A symbol and its score, to be compared with others of the same ranking. */
  public record RankedSymbol(Symbol symbol, double score) {}

  /** Copies. */
  public RankedFile {
    terms = List.copyOf(terms);
    symbols = List.copyOf(symbols);
  }
}
