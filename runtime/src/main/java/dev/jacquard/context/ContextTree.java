package dev.jacquard.context;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import java.util.ArrayList;
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
   * @param sections what is fed, one after the other; each begins a page
   * @param whole whether it is the whole file
   * @param why for people
   */
  public record ResidentFile(
      ContextNode node, List<FileSection> sections, boolean whole, String why) {
    /** Copies. */
    public ResidentFile {
      sections = List.copyOf(sections);
    }

    /**
     * First tokens of the pages that hold tokens of a node, the file's own or one inside. No page
     * holds tokens of two files, or of two sections.
     */
    public List<Integer> pages(ContextNode inside) {
      List<Integer> pages = new ArrayList<>();
      int first = node.first();
      for (FileSection section : sections) {
        int end = first + section.ids().length;
        for (int page = first; page < end; page += PAGE_TOKENS) {
          if (page < inside.end() && Math.min(end, page + PAGE_TOKENS) > inside.first()) {
            pages.add(page);
          }
        }
        first = end;
      }
      return pages;
    }
  }

  /** Copies. */
  public ContextTree {
    files = List.copyOf(files);
    unread = List.copyOf(unread);
  }

  /** Tokens of all files. */
  public int tokens() {
    return root.tokens();
  }
}
