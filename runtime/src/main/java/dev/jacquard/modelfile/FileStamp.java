package dev.jacquard.modelfile;

import dev.jacquard.memory.JacquardException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/** Tells a file that was left alone from one that may have been changed, without reading it. */
final class FileStamp {
  private FileStamp() {}

  /**
   * Name, number, size and times of a file. The time of the last change of attributes, which Unix
   * keeps, also tells an edit after which somebody set the other time back.
   *
   * @throws JacquardException if the file cannot be asked
   */
  static String of(Path path) {
    try {
      Path real = path.toRealPath();
      BasicFileAttributes attributes = Files.readAttributes(real, BasicFileAttributes.class);
      Object changed =
          real.getFileSystem().supportedFileAttributeViews().contains("unix")
              ? Files.getAttribute(real, "unix:ctime")
              : "-";
      return "%s %s %d %s %s"
          .formatted(
              real,
              attributes.fileKey(),
              attributes.size(),
              attributes.lastModifiedTime().toInstant(),
              changed);
    } catch (IOException e) {
      throw new JacquardException(path + ": cannot be asked for its size and times: " + e, e);
    }
  }
}
