package dev.jacquard.context;

import java.util.List;
import java.util.stream.Stream;

/**
 * A node of a context tree.
 *
 * @param kind what it is
 * @param name path of a module or file, name of a symbol
 * @param first its first token, counted from the first one of the tree
 * @param end the token after its last; equal to {@code first} if nothing of it is resident
 * @param resident whether all of it is in the context; of a file that is there in parts it is false
 * @param pinned whether its pages are always read in 8 bits
 * @param score residency score: of a file or symbol by the question, of others the best one inside
 * @param children in the order in which they are fed
 */
public record ContextNode(
    Kind kind,
    String name,
    int first,
    int end,
    boolean resident,
    boolean pinned,
    double score,
    List<ContextNode> children) {
  /**
   * Levels of the tree. The level below, pages, is told by {@link ContextTree.ResidentFile#pages}.
   */
  public enum Kind {
    /** The root. */
    REPOSITORY,
    /** A folder with a build file. */
    MODULE,
    /** A file. */
    FILE,
    /** A declaration, or a block of lines. */
    SYMBOL
  }

  /** Checks and copies. */
  public ContextNode {
    if (first < 0 || end < first) {
      throw new IllegalArgumentException(kind + " " + name + ": tokens " + first + " to " + end);
    }
    children = List.copyOf(children);
  }

  /** Number of its tokens in the context. */
  public int tokens() {
    return end - first;
  }

  /** This node and all below it. */
  public Stream<ContextNode> all() {
    return Stream.concat(Stream.of(this), children.stream().flatMap(ContextNode::all));
  }
}
