package dev.jacquard.modelfile;

import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A model in several files: {@code NAME-00001-of-00003.gguf} and so on. Each says in {@code
 * split.no} (from 0) and {@code split.count} which part it is; {@code split.tensors.count} is the
 * number of tensors in all of them. The first part holds the model's metadata.
 *
 * @param opened the part from which the others are found
 * @param prefix NAME
 * @param number the opened part's {@code split.no}
 * @param count number of parts
 * @param tensors number of tensors in all parts
 */
record GgufSplit(Path opened, String prefix, int number, int count, long tensors) {
  private static final String NUMBER = "split.no";
  private static final String COUNT = "split.count";
  private static final String TENSORS = "split.tensors.count";

  /** A part takes a file name of five digits. */
  private static final int MOST_PARTS = 99999;

  private static final Pattern NAME = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})\\.gguf");

  /**
   * The split that a file is part of; nothing if it is whole.
   *
   * @throws ModelFormatException if what the file says contradicts its name
   */
  static Optional<GgufSplit> of(Path path, GgufHeader header) {
    Object split = header.metadata().get(COUNT);
    if (split == null || split.equals(1L) || split.equals(0L)) {
      return Optional.empty();
    }
    int count = (int) integer(path, header.metadata(), COUNT, MOST_PARTS);
    int number = (int) integer(path, header.metadata(), NUMBER, count - 1);
    long tensors = integer(path, header.metadata(), TENSORS, Long.MAX_VALUE);
    Matcher name = NAME.matcher(String.valueOf(path.getFileName()));
    if (!name.matches()
        || Integer.parseInt(name.group(2)) != number + 1
        || Integer.parseInt(name.group(3)) != count) {
      throw new ModelFormatException(
          path,
          -1,
          "the file name of part " + (number + 1) + " of " + count + ", as its metadata says",
          "%s instead of %s".formatted(path.getFileName(), name("NAME", number, count)));
    }
    return Optional.of(new GgufSplit(path, name.group(1), number, count, tensors));
  }

  /** The file of part {@code index}, from 0. */
  Path path(int index) {
    return opened.resolveSibling(name(prefix, index, count));
  }

  /**
   * Checks that a file is part {@code index} of this model.
   *
   * @throws ModelFormatException if it is another part, or of another model
   */
  void requirePart(int index, GgufHeader header) {
    require(index, header, NUMBER, index);
    require(index, header, COUNT, count);
    require(index, header, TENSORS, tensors);
  }

  /**
   * Checks the number of tensors in all parts.
   *
   * @throws ModelFormatException if it is not what the parts say
   */
  void requireTensors(long found) {
    if (found != tensors) {
      throw new ModelFormatException(
          opened, -1, tensors + " tensors in " + count + " parts (" + TENSORS + ")", "" + found);
    }
  }

  private void require(int index, GgufHeader header, String key, long expected) {
    long found = integer(path(index), header.metadata(), key, Long.MAX_VALUE);
    if (found != expected) {
      throw new ModelFormatException(path(index), -1, key + " to be " + expected, "" + found);
    }
  }

  private static long integer(Path file, Map<String, Object> metadata, String key, long most) {
    Object value = metadata.get(key);
    if (value instanceof Long number && number >= 0 && number <= most) {
      return number;
    }
    throw new ModelFormatException(
        file,
        -1,
        "metadata " + key + " to be an integer from 0 to " + most,
        value == null ? "no such key" : String.valueOf(value));
  }

  private static String name(String prefix, int index, int count) {
    return "%s-%05d-of-%05d.gguf".formatted(prefix, index + 1, count);
  }
}
