package dev.jacquard.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/**
 * A sample of the text in files and folders. Hidden files and folders, links, files above a
 * megabyte, files that cannot be read and files that are not UTF-8 text are left out of folders; a
 * file that is named itself must be text.
 */
final class TextFolder {
  private static final long MAX_FILE_BYTES = 1 << 20;

  /** Files of a folder are read in an order that mixes its parts, the same in every run. */
  private static final long SEED = 20;

  private TextFolder() {}

  /**
   * Texts of whole files, one after the other, until there are {@code maxChars}.
   *
   * @throws IOException if a named file or folder cannot be read
   * @throws InputException if a named file is no text, or there is none in the folders
   */
  static String read(List<Path> paths, int maxChars, Terminal terminal) throws IOException {
    StringBuilder text = new StringBuilder();
    for (Path path : paths) {
      if (Files.isDirectory(path)) {
        List<Path> files = files(path);
        Collections.shuffle(files, new Random(SEED));
        for (Path file : files) {
          terminal.interruption().check();
          if (text.length() < maxChars) {
            text(file).ifPresent(text::append);
          }
        }
      } else {
        text.append(TextInput.read(path, terminal));
      }
    }
    if (text.isEmpty()) {
      throw new InputException("there is no text in " + paths);
    }
    return text.substring(0, Math.min(text.length(), maxChars));
  }

  private static List<Path> files(Path folder) throws IOException {
    List<Path> files = new ArrayList<>();
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path path, BasicFileAttributes attributes) {
            return path.equals(folder) || !hidden(path)
                ? FileVisitResult.CONTINUE
                : FileVisitResult.SKIP_SUBTREE;
          }

          @Override
          public FileVisitResult visitFile(Path path, BasicFileAttributes attributes) {
            if (attributes.isRegularFile()
                && !hidden(path)
                && attributes.size() <= MAX_FILE_BYTES) {
              files.add(path);
            }
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path path, IOException e) throws IOException {
            if (path.equals(folder)) {
              throw e;
            }
            return FileVisitResult.CONTINUE;
          }
        });
    Collections.sort(files);
    return files;
  }

  private static boolean hidden(Path path) {
    return path.getFileName().toString().startsWith(".");
  }

  private static Optional<String> text(Path file) {
    try {
      byte[] bytes = Files.readAllBytes(file);
      for (byte b : bytes) {
        if (b == 0) {
          return Optional.empty();
        }
      }
      return Optional.of(
          StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
    } catch (CharacterCodingException _) {
      return Optional.empty();
    } catch (IOException _) { // it went away, or may not be read
      return Optional.empty();
    }
  }
}
