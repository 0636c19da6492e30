package dev.jacquard.modelfile;

import dev.jacquard.memory.JacquardException;
import dev.jacquard.memory.MappedFile;
import dev.jacquard.tensor.ElementFormat;
import dev.jacquard.tensor.ElementFormats;
import dev.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleConsumer;
import java.util.stream.Collectors;
import java.util.zip.CRC32C;

/**
 * A GGUF file of version 2 or 3, in one part or several. Headers are read and checked when it is
 * opened; tensors stay where they are, in mapped memory whose pages are read when first touched.
 * Metadata lies on the heap and outlives {@link #close}.
 *
 * <p>Source: the GGUF specification of the ggml project.
 */
public final class GgufFile implements ModelFile {
  /** Samples of a tensor, and bytes of each, that its fingerprint looks at. */
  private static final int SAMPLES = 8;

  private static final int SAMPLE_BYTES = 256;

  private record Part(MappedFile file, GgufHeader header) {}

  private record Located(TensorInfo info, MappedFile file) {}

  private final List<MappedFile> files;
  private final ModelMetadata metadata;
  private final Map<String, GgufHeader.Extent> storedValues;
  private final Map<String, Located> tensors = new LinkedHashMap<>();
  private final String stamp;
  private volatile boolean closed;

  private GgufFile(List<Part> parts) {
    files = parts.stream().map(Part::file).toList();
    stamp = presentStamp();
    metadata = new ModelMetadata(path(), parts.getFirst().header.metadata());
    storedValues = parts.getFirst().header.stored();
    for (Part part : parts) {
      for (TensorInfo tensor : part.header.tensors()) {
        Located other = tensors.put(tensor.name(), new Located(tensor, part.file));
        if (other != null) {
          throw new ModelFormatException(
              tensor.file(),
              -1,
              "every tensor in one part",
              tensor.name() + " in " + other.info.file() + " too");
        }
      }
    }
  }

  /**
   * Opens a file, or all parts of a split model of which {@code path} is one.
   *
   * @throws ModelFormatException if a file is missing or not what it should be
   * @throws JacquardException if a file cannot be read
   */
  public static GgufFile open(Path path) {
    List<MappedFile> mapped = new ArrayList<>();
    try {
      return new GgufFile(openParts(path, mapped));
    } catch (RuntimeException | Error e) {
      mapped.forEach(MappedFile::close);
      throw e;
    }
  }

  private static List<Part> openParts(Path path, List<MappedFile> mapped) {
    Part opened = openPart(path, mapped);
    Optional<GgufSplit> split = GgufSplit.of(path, opened.header);
    if (split.isEmpty()) {
      return List.of(opened);
    }
    List<Part> parts = new ArrayList<>();
    long tensors = 0;
    for (int i = 0; i < split.get().count(); i++) {
      Part part = i == split.get().number() ? opened : openPart(split.get().path(i), mapped);
      split.get().requirePart(i, part.header);
      tensors += part.header.tensors().size();
      parts.add(part);
    }
    split.get().requireTensors(tensors);
    return parts;
  }

  private static Part openPart(Path path, List<MappedFile> mapped) {
    MappedFile file = map(path);
    mapped.add(file);
    try {
      return new Part(file, GgufHeader.read(path, file.segment()));
    } catch (InternalError e) {
      // The JVM's answer when a mapped page is no longer in the file.
      file.requireIntact();
      throw e;
    }
  }

  private static MappedFile map(Path path) {
    if (Files.isDirectory(path)) {
      throw new ModelFormatException(path, -1, "a model file", "a directory");
    }
    try {
      return MappedFile.open(path);
    } catch (NoSuchFileException _) {
      throw new ModelFormatException(path, -1, "a model file", "no such file");
    } catch (IOException e) {
      throw new JacquardException(path + ": the file cannot be mapped: " + e, e);
    }
  }

  @Override
  public Path path() {
    return files.getFirst().path();
  }

  @Override
  public ModelMetadata metadata() {
    return metadata;
  }

  @Override
  public List<TensorInfo> tensors() {
    return tensors.values().stream().map(Located::info).toList();
  }

  @Override
  public Optional<Tensor> tensor(String name) {
    requireOpen();
    return Optional.ofNullable(tensors.get(name)).map(GgufFile::view);
  }

  private static Tensor view(Located located) {
    TensorInfo info = located.info;
    ElementFormat format =
        ElementFormats.byGgmlType(info.typeNumber())
            .orElseThrow(
                () ->
                    new ModelFormatException(
                        info.file(),
                        info.offset(),
                        info.name()
                            + " in a number format that can be decoded ("
                            + String.join(
                                ", ",
                                ElementFormats.all().stream().map(ElementFormat::name).toList())
                            + ")",
                        info.type()));
    return new Tensor(
        format, info.shape(), located.file.segment().asSlice(info.offset(), info.bytes()));
  }

  /**
   * The bytes of one of {@link #tensors()}, whatever its number format, in mapped memory that is
   * valid until {@link #close}.
   */
  public MemorySegment data(TensorInfo tensor) {
    requireOpen();
    Located located = tensors.get(tensor.name());
    if (located == null) {
      throw new IllegalArgumentException(path() + " has no tensor " + tensor.name());
    }
    return located.file.segment().asSlice(located.info.offset(), located.info.bytes());
  }

  /** The bytes of a metadata value as they are in the file, its type first. */
  MemorySegment storedValue(String key) {
    requireOpen();
    GgufHeader.Extent extent = storedValues.get(key);
    if (extent == null) {
      throw new IllegalArgumentException(path() + " has no metadata " + key);
    }
    return files.getFirst().segment().asSlice(extent.start(), extent.end() - extent.start());
  }

  @Override
  public long bytes() {
    return files.stream().mapToLong(file -> file.segment().byteSize()).sum();
  }

  @Override
  public String fingerprint() {
    requireOpen();
    requireIntact();
    MessageDigest digest = ContentHash.sha256();
    for (MappedFile file : files) {
      List<TensorInfo> inFile =
          tensors.values().stream().filter(t -> t.file == file).map(Located::info).toList();
      MemorySegment bytes = file.segment();
      long headerEnd = inFile.stream().mapToLong(TensorInfo::offset).min().orElse(bytes.byteSize());
      CRC32C header = new CRC32C();
      header.update(bytes.asSlice(0, headerEnd).asByteBuffer());
      digest.update(
          (bytes.byteSize() + " " + header.getValue()).getBytes(StandardCharsets.US_ASCII));
      inFile.forEach(info -> sample(digest, bytes.asSlice(info.offset(), info.bytes())));
    }
    return ContentHash.name(digest);
  }

  @Override
  public String stamp() {
    return stamp;
  }

  private String presentStamp() {
    return files.stream().map(file -> FileStamp.of(file.path())).collect(Collectors.joining("; "));
  }

  @Override
  public void requireUnchanged() {
    requireIntact();
    String now = presentStamp();
    if (!now.equals(stamp)) {
      throw new JacquardException(
          "%s: the model was changed since it was opened (%s, then %s); open it again"
              .formatted(path(), stamp, now));
    }
  }

  @Override
  public String contentHash(DoubleConsumer progress) {
    requireUnchanged();
    String hash = ContentHash.of(files.stream().map(MappedFile::segment).toList(), progress);
    requireUnchanged();
    return hash;
  }

  @Override
  public FileTime modified() {
    return files.stream()
        .map(file -> lastModified(file.path()))
        .max(Comparator.naturalOrder())
        .orElseThrow();
  }

  private static FileTime lastModified(Path path) {
    try {
      return Files.getLastModifiedTime(path);
    } catch (IOException e) {
      throw new JacquardException(path + ": cannot read the time of the mapped file", e);
    }
  }

  private static void sample(MessageDigest digest, MemorySegment data) {
    long last = Math.max(0, data.byteSize() - SAMPLE_BYTES);
    for (int i = 0; i < SAMPLES; i++) {
      long start = last / (SAMPLES - 1) * i;
      digest.update(
          data.asSlice(start, Math.min(SAMPLE_BYTES, data.byteSize() - start)).asByteBuffer());
    }
  }

  @Override
  public void requireIntact() {
    requireOpen();
    files.forEach(MappedFile::requireIntact);
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException(path() + ": the model file is closed");
    }
  }

  @Override
  public void close() {
    closed = true;
    files.forEach(MappedFile::close);
  }
}
