package dev.jacquard.context;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import java.util.List;

/**
 * A repository as a context: which of its files and symbols are resident, where their tokens lie,
 * and in which order they are fed: the best file last, next to the question.
 *
 * @param root the repository; its children are modules, theirs are files, theirs are symbols
 * @param files the files with resident tokens, in the order in which they are fed
 * @param unread paths of files that could not be read again, with the reason
 */
public record ContextTree(ContextNode root, List<ResidentFile> files, List<String> unread) {
  /**
   * A file to feed.
   *
   * @param node where it lies
   * @param ids its tokens, a line with its path first; not to be changed
   * @param whole whether it is the whole file
   * @param why for people
   */
  @SuppressWarnings("ArrayRecordComponent") // handed on to the session, which keeps it
  public record ResidentFile(ContextNode node, int[] ids, boolean whole, String why) {}

  /** Copies. */
  public ContextTree {
    files = List.copyOf(files);
    unread = List.copyOf(unread);
  }

  /** Tokens of all files. */
  public int tokens() {
    return root.tokens();
  }

  /**
   * First tokens of the pages that hold tokens of a node. A file begins a page, so no page holds
   * tokens of two files.
   *
   * @param file the file that the node is, or lies in
   */
  public static List<Integer> pages(ContextNode file, ContextNode node) {
    return file.pageStarts().stream()
        .filter(start -> start < node.end() && start + PAGE_TOKENS > node.first())
        .toList();
  }
}
