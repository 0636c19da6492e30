package dev.jacquard.repository;

import java.nio.file.Path;
import java.util.List;

/**
 * A folder of sources as {@link RepositoryReader} found it. It holds no texts: {@link #text} reads
 * them again, and only as long as they are the same.
 *
 * @param root the folder, without symbolic links
 * @param inGit whether it is a git work tree or lies in one
 * @param files its text files, sorted by path
 * @param skipped what was not read, and why, sorted by path
 */
public record Repository(
    Path root, boolean inGit, List<RepositoryFile> files, List<SkippedPath> skipped) {
  /** Copies. */
  public Repository {
    files = List.copyOf(files);
    skipped = List.copyOf(skipped);
  }

  /**
   * The text of one of its files, read anew.
   *
   * @throws RepositoryException if it is gone, cannot be read, or is not what it was
   */
  public String text(RepositoryFile file) {
    switch (FileContent.read(root.resolve(file.path()), file.bytes())) {
      case FileContent.Text text when text.hash().equals(file.hash()) -> {
        return text.text();
      }
      case FileContent.Text _ ->
          throw new RepositoryException(
              file.path() + " was edited since the repository was read; read it again", null);
      case FileContent.Unusable(String reason) ->
          throw new RepositoryException(file.path() + " " + reason, null);
    }
  }
}
