package dev.jacquard.kernels.reference;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Pages outside the heap; how a page is laid out is the business of the two kinds. */
abstract sealed class ReferenceKvStorage implements KvStorage
    permits FloatKvStorage, QuantizedKvStorage {
  private static final int ALIGNMENT = 8;

  private final KvSpec spec;
  private final KvFormat format;
  private final Arena arena = Arena.ofShared();
  private final List<List<MemorySegment>> pages = new ArrayList<>();
  private final int[] groupOfLayer;

  ReferenceKvStorage(KvSpec spec, KvFormat format) {
    this.spec = spec;
    this.format = format;
    spec.groupWindows().forEach(window -> pages.add(new ArrayList<>()));
    groupOfLayer = new int[spec.layers().size()];
    for (int l = 0; l < groupOfLayer.length; l++) {
      groupOfLayer[l] = spec.groupOf(l);
    }
  }

  /** An empty storage. */
  static ReferenceKvStorage allocate(KvSpec spec, KvFormat format) {
    return switch (format) {
      case F16, F32 -> new FloatKvStorage(spec, format);
      case Q8 -> new QuantizedKvStorage(spec);
    };
  }

  @Override
  public final KvSpec spec() {
    return spec;
  }

  @Override
  public final KvFormat format() {
    return format;
  }

  @Override
  public final int pages(int group) {
    return pages.get(group).size();
  }

  @Override
  public final void grow(int group, int count) {
    List<MemorySegment> existing = pages.get(group);
    int more = count - existing.size();
    if (more <= 0) {
      return;
    }
    long bytes = pageBytes(group);
    MemorySegment slab;
    try {
      slab = arena.allocate(Math.multiplyExact(bytes, (long) more), ALIGNMENT);
    } catch (OutOfMemoryError | ArithmeticException e) {
      throw new BackendException(
          "no memory for " + more + " pages of " + bytes + " bytes of keys and values", e);
    }
    for (int i = 0; i < more; i++) {
      existing.add(slab.asSlice(i * bytes, bytes));
    }
  }

  final KvSpec.Layer layer(int layer) {
    return spec.layers().get(layer);
  }

  final int groupOf(int layer) {
    return groupOfLayer[layer];
  }

  /** A page of the group that {@code layer} belongs to. */
  final MemorySegment page(int layer, int page) {
    return pages.get(groupOfLayer[layer]).get(page);
  }

  @Override
  public final void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
