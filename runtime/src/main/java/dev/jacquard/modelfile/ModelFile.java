package dev.jacquard.modelfile;

import dev.jacquard.tensor.Tensor;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Optional;
import java.util.function.DoubleConsumer;

/** An open model: metadata and mapped tensors. Any thread may read; the owner closes. */
public interface ModelFile extends AutoCloseable {
  /**
   * Opens a model file of any type that is known here: GGUF.
   *
   * @throws ModelFormatException if the file is missing, or not what it should be
   * @throws dev.jacquard.memory.JacquardException if it cannot be read
   */
  static ModelFile open(Path path) {
    return GgufFile.open(path);
  }

  /** The file, the first one of a split model. */
  Path path();

  /** What the file says about the model. */
  ModelMetadata metadata();

  /** All tensors, in file order. */
  List<TensorInfo> tensors();

  /**
   * The tensor of this name as a view of mapped memory, valid until {@link #close}.
   *
   * @throws ModelFormatException if its number format cannot be decoded here
   */
  Optional<Tensor> tensor(String name);

  /** Bytes of all files. */
  long bytes();

  /**
   * A short name of the content, to key caches with: sizes, all metadata and tensor declarations,
   * and bytes sampled from every tensor. Name, place and time of the file do not count, so a copy
   * has the same; two files with equal fingerprints can be taken for the same, if neither was
   * edited in place.
   */
  String fingerprint();

  /**
   * Which state of which files was opened: names, numbers in the file system, sizes, times of the
   * last change, and of the last change of these attributes where the system keeps it. As long as
   * it stays the same, so do the files.
   */
  String stamp();

  /**
   * Checks that the files are what they were when they were opened, without reading them.
   *
   * @throws dev.jacquard.memory.JacquardException if their {@link #stamp} would be another now
   */
  void requireUnchanged();

  /**
   * A short name of all bytes of all files, which are read on all cores: SHA-256 over the SHA-256
   * of pieces.
   *
   * @param progress told the finished share, 0 to 1, on this thread; may throw to stop
   * @throws dev.jacquard.memory.JacquardException if the files were changed since they were opened
   */
  String contentHash(DoubleConsumer progress);

  /**
   * When the newest of the files was last changed, by the file system's clock.
   *
   * @throws dev.jacquard.memory.JacquardException if it cannot be read
   */
  FileTime modified();

  /**
   * Checks that the mapped files are still as long as they were.
   *
   * @throws dev.jacquard.memory.JacquardException if one was shortened
   */
  void requireIntact();

  /** Unmaps everything. Twice does nothing. */
  @Override
  void close();
}
