package dev.jacquard.architecture;

import dev.jacquard.modelfile.ModelFile;
import dev.jacquard.modelfile.ModelMetadata;
import dev.jacquard.modelfile.TensorInfo;
import dev.jacquard.tensor.Shape;
import dev.jacquard.tensor.Tensor;
import dev.jacquard.tensor.format.F32;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleConsumer;

/** A model file some of whose metadata and tensors are others than in the file behind it. */
final class AlteredFile implements ModelFile {
  private final ModelFile file;
  private final Map<String, Object> metadata = new LinkedHashMap<>();
  private final Map<String, TensorInfo> infos = new LinkedHashMap<>();
  private final Map<String, Tensor> replaced = new LinkedHashMap<>();

  AlteredFile(ModelFile file) {
    this.file = file;
    for (String key : file.metadata().keys()) {
      metadata.put(key, file.metadata().get(key).orElseThrow());
    }
    file.tensors().forEach(info -> infos.put(info.name(), info));
  }

  /** Sets an entry of the metadata. */
  AlteredFile with(String key, Object value) {
    metadata.put(key, value);
    return this;
  }

  /** Removes an entry of the metadata, or a tensor. */
  AlteredFile without(String name) {
    if (metadata.remove(name) == null && infos.remove(name) == null) {
      throw new AssertionError("there is no " + name);
    }
    return this;
  }

  /** Puts a tensor of these values into the file. */
  AlteredFile withTensor(String name, Shape shape, float... values) {
    MemorySegment data = Arena.ofAuto().allocate(F32.INSTANCE.bytes(shape.elements()), 4);
    F32.INSTANCE.encode(values, 0, values.length, data, 0);
    infos.put(name, new TensorInfo(name, "F32", 0, shape, path(), 0, data.byteSize()));
    replaced.put(name, new Tensor(F32.INSTANCE, shape, data));
    return this;
  }

  @Override
  public Path path() {
    return file.path();
  }

  @Override
  public ModelMetadata metadata() {
    return new ModelMetadata(path(), metadata);
  }

  @Override
  public List<TensorInfo> tensors() {
    return List.copyOf(infos.values());
  }

  @Override
  public Optional<Tensor> tensor(String name) {
    if (replaced.containsKey(name)) {
      return Optional.of(replaced.get(name));
    }
    return infos.containsKey(name) ? file.tensor(name) : Optional.empty();
  }

  @Override
  public long bytes() {
    return file.bytes();
  }

  @Override
  public String fingerprint() {
    return file.fingerprint();
  }

  @Override
  public String stamp() {
    return file.stamp();
  }

  @Override
  public void requireUnchanged() {
    file.requireUnchanged();
  }

  @Override
  public String contentHash(DoubleConsumer progress) {
    return file.contentHash(progress);
  }

  @Override
  public FileTime modified() {
    return file.modified();
  }

  @Override
  public void requireIntact() {
    file.requireIntact();
  }

  @Override
  public void close() {
    file.close();
  }
}
