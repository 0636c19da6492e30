package dev.jacquard.repository;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Where git keeps what it knows about a work tree.
 *
 * @param root top folder of the work tree
 * @param folder its own git folder: {@code .git}, or where the file {@code .git} of a linked work
 *     tree or of a submodule points
 * @param common the folder that linked work trees share
 */
record GitWorkTree(Path root, Path folder, Path common) {
  private static final Pattern SHA_256 =
      Pattern.compile("(?im)^\\s*objectformat\\s*=\\s*\"?sha256\"?\\s*$");

  /** The work tree that a folder is the top of, or null. */
  static @Nullable GitWorkTree at(Path root) throws IOException {
    Path dotGit = root.resolve(".git");
    Path folder = dotGit;
    if (Files.isRegularFile(dotGit)) {
      String line = Files.readString(dotGit).strip();
      if (!line.startsWith("gitdir:")) {
        return null;
      }
      folder = root.resolve(line.substring("gitdir:".length()).strip()).normalize();
    }
    if (!Files.isRegularFile(folder.resolve("HEAD"))) {
      return null;
    }
    Path shared = folder.resolve("commondir");
    Path common =
        Files.isRegularFile(shared)
            ? folder.resolve(Files.readString(shared).strip()).normalize()
            : folder;
    return new GitWorkTree(root, folder, common);
  }

  /** The work tree that a folder lies in, or null. */
  static @Nullable GitWorkTree around(Path folder) throws IOException {
    for (Path at = folder; at != null; at = at.getParent()) {
      GitWorkTree found = at(at);
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  /** What it tracks; nothing if nothing was ever added. */
  GitIndex index() throws IOException {
    Path file = folder.resolve("index");
    if (!Files.exists(file)) {
      return GitIndex.empty();
    }
    Path config = common.resolve("config");
    boolean sha256 =
        Files.isRegularFile(config) && SHA_256.matcher(Files.readString(config)).find();
    return GitIndex.read(file, sha256 ? 32 : 20);
  }

  /** Rules of this repository that are not in its files. */
  IgnoreRules ownRules() throws IOException {
    return IgnoreRules.NONE.and(common.resolve("info").resolve("exclude"), "");
  }
}
