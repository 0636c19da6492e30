package dev.jacquard.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Program sources of a folder as one text, file after file in the order of their paths. */
final class SourceText {
  private static final long LARGEST_FILE = 1 << 20;
  private static final Set<String> ENDINGS =
      Set.of(
          "java", "kt", "scala", "groovy", "c", "h", "cc", "cpp", "hpp", "cs", "go", "rs", "py",
          "rb", "js", "ts", "swift");
  private static final Set<String> BUILT = Set.of("target", "build", "node_modules", "out");

  private SourceText() {}

  /**
   * Reads files until there are {@code characters}. Left out are hidden folders, folders of build
   * results, files that are no UTF-8, and files of more than 1 MiB. Links are not followed.
   *
   * @throws InputException if there are no sources
   */
  static String read(Path folder, int characters) throws IOException {
    StringBuilder text = new StringBuilder();
    for (Path file : files(folder)) {
      if (text.length() >= characters) {
        break;
      }
      try {
        text.append(Files.readString(file)).append('\n');
      } catch (CharacterCodingException e) {
        // Other encodings are left out, as said above.
      }
    }
    if (text.isEmpty()) {
      throw new InputException(
          folder + ": there are no program sources (" + String.join(", ", ENDINGS) + ")");
    }
    return text.toString();
  }

  private static List<Path> files(Path folder) throws IOException {
    List<Path> files = new ArrayList<>();
    Files.walkFileTree(folder, new Collector(folder, files));
    files.sort(null);
    return files;
  }

  private static final class Collector extends SimpleFileVisitor<Path> {
    private final Path top;
    private final List<Path> files;

    Collector(Path top, List<Path> files) {
      this.top = top;
      this.files = files;
    }

    @Override
    public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
      String name = String.valueOf(folder.getFileName());
      boolean skipped = !folder.equals(top) && (name.startsWith(".") || BUILT.contains(name));
      return skipped ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
      String name = String.valueOf(file.getFileName());
      if (attributes.isRegularFile()
          && attributes.size() <= LARGEST_FILE
          && ENDINGS.contains(name.substring(name.lastIndexOf('.') + 1))) {
        files.add(file);
      }
      return FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFileFailed(Path file, IOException failure) throws IOException {
      if (file.equals(top)) {
        throw failure;
      }
      return FileVisitResult.CONTINUE; // a folder that may not be read has no text for us
    }
  }
}
