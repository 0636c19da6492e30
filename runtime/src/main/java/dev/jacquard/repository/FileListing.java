package dev.jacquard.repository;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Walks through a folder. In a git work tree: the files that git tracks, and the untracked ones
 * that no rule ignores, submodules included. Elsewhere: all but what ignore files exclude and what
 * builds and tools make. Symbolic links are never followed, so there are no loops.
 */
final class FileListing {
  /** Reads the entries of a folder. */
  @FunctionalInterface
  interface FolderReader {
    List<Path> entries(Path folder) throws IOException;
  }

  private static final Set<String> NEVER = Set.of(".git", ".hg", ".svn", ".jj");

  /** Folders that hold no sources, where no git says what does. */
  private static final Set<String> USUALLY_MADE =
      Set.of(
          "target",
          "build",
          "out",
          "dist",
          "node_modules",
          "vendor",
          "bin",
          "obj",
          "__pycache__",
          "venv",
          ".venv",
          ".tox",
          ".gradle",
          ".idea",
          ".vscode",
          ".mypy_cache",
          ".pytest_cache",
          ".cache");

  /**
   * Whose rules hold in a folder.
   *
   * @param top the folder that paths are relative to
   * @param inGit whether it is a git work tree
   * @param ignored whether the folder itself is ignored: only tracked files count
   */
  private record Scope(
      Path top, boolean inGit, GitIndex index, IgnoreRules rules, boolean ignored) {}

  private final Path root;
  private final FolderReader reader;
  private final SortedMap<String, Path> files = new TreeMap<>();
  private final List<SkippedPath> skipped = new ArrayList<>();
  private boolean inGit;

  /** Walks; {@code root} must be a real path. */
  FileListing(Path root, FolderReader reader) {
    this.root = root;
    this.reader = reader;
    walk(root, scope());
  }

  /** The entries of a folder. */
  static List<Path> entries(Path folder) throws IOException {
    List<Path> entries = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder)) {
      stream.forEach(entries::add);
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return entries;
  }

  /** Files by their path relative to the root, with {@code /}. */
  SortedMap<String, Path> files() {
    return files;
  }

  /** What is neither among the files nor ignored. */
  List<SkippedPath> skipped() {
    return skipped;
  }

  /** Whether the root lies in a git work tree. */
  boolean inGit() {
    return inGit;
  }

  private Scope scope() {
    try {
      GitWorkTree tree = GitWorkTree.around(root);
      if (tree != null) {
        inGit = true;
        Scope scope = scope(tree);
        IgnoreRules rules = scope.rules();
        Path relative = tree.root().relativize(root);
        Path at = tree.root();
        for (Path name : relative.toString().isEmpty() ? List.<Path>of() : relative) {
          rules = rules.and(at.resolve(".gitignore"), prefix(tree.root(), at));
          at = at.resolve(name);
        }
        return new Scope(scope.top(), true, scope.index(), rules, false);
      }
    } catch (IOException e) {
      skip(
          root.resolve(".git"),
          "cannot be read: " + e.getMessage() + "; the folder is read as if git were not there");
      inGit = false;
    }
    return new Scope(root, false, GitIndex.empty(), IgnoreRules.NONE, false);
  }

  private Scope scope(GitWorkTree tree) throws IOException {
    GitIndex index;
    try {
      index = tree.index();
    } catch (IOException e) {
      skip(
          tree.root().resolve(".git"),
          "has an index that cannot be read (" + e.getMessage() + "): ignore rules alone decide");
      index = GitIndex.empty();
    }
    return new Scope(tree.root(), true, index, tree.ownRules(), false);
  }

  private void walk(Path folder, Scope scope) {
    List<Path> entries;
    IgnoreRules rules;
    try {
      entries = reader.entries(folder);
      rules = scope.rules().and(folder.resolve(".gitignore"), prefix(scope.top(), folder));
    } catch (AccessDeniedException e) {
      skip(folder, "cannot be read: permission denied");
      return;
    } catch (IOException e) {
      skip(folder, "cannot be read: " + e.getMessage());
      return;
    }
    for (Path entry : entries) {
      try {
        visit(entry, new Scope(scope.top(), scope.inGit(), scope.index(), rules, scope.ignored()));
      } catch (IOException e) {
        skip(entry, "cannot be read: " + e.getMessage());
      }
    }
  }

  private void visit(Path entry, Scope scope) throws IOException {
    if (NEVER.contains(String.valueOf(entry.getFileName()))) {
      return;
    }
    BasicFileAttributes attributes =
        Files.readAttributes(entry, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    String path = relative(scope.top(), entry);
    boolean folder = attributes.isDirectory();
    boolean ignored = scope.ignored() || scope.rules().ignores(path, folder);
    if (folder) {
      visitFolder(entry, path, scope, ignored);
    } else if (!ignored || scope.index().files().contains(path)) {
      if (attributes.isSymbolicLink()) {
        skip(entry, "is a symbolic link, which is not followed");
      } else if (attributes.isRegularFile()) {
        files.put(relative(root, entry), entry);
      } else {
        skip(entry, "is neither a file nor a folder");
      }
    }
  }

  private void visitFolder(Path entry, String path, Scope scope, boolean ignored)
      throws IOException {
    GitWorkTree own = GitWorkTree.at(entry);
    boolean submodule = scope.index().submodules().contains(path);
    if (own != null && scope.inGit() && !submodule) {
      if (!ignored) {
        skip(entry, "is another git repository, and no submodule");
      }
    } else if (own != null) {
      walk(entry, scope(own));
    } else if (!ignored && (scope.inGit() || !isUsuallyMade(entry))) {
      walk(entry, scope);
    } else if (scope.index().tracksIn(path + "/")) {
      walk(entry, new Scope(scope.top(), true, scope.index(), scope.rules(), true));
    }
  }

  private static boolean isUsuallyMade(Path folder) {
    return USUALLY_MADE.contains(String.valueOf(folder.getFileName()));
  }

  private void skip(Path entry, String reason) {
    boolean folder = Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS);
    skipped.add(new SkippedPath(relative(root, entry) + (folder ? "/" : ""), reason));
  }

  private static String prefix(Path top, Path folder) {
    String path = relative(top, folder);
    return path.isEmpty() ? "" : path + "/";
  }

  private static String relative(Path top, Path entry) {
    return top.relativize(entry).toString().replace(entry.getFileSystem().getSeparator(), "/");
  }
}
