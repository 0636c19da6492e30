package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.memory.HugePages;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Keys and values in native memory, in slabs of pages. Consecutive pages are usually read one after
 * the other, for one layer and head at a time, so a slab is ordered by layer, head, part (keys,
 * values …) and only then by page: the processor sees long runs of memory that it can fetch ahead.
 *
 * <p>Slabs are also how memory is allocated: zeroed, and in huge pages where the system has them,
 * which saves a reader that jumps from token to token the translation of its addresses. Reading and
 * writing disjoint tokens is safe from any thread.
 */
abstract sealed class SlabKvStorage implements KvStorage permits VectorKvStorage, Q8KvStorage {
  private static final long SLAB_BYTES = 16 << 20;

  private final KvSpec spec;
  private final KvFormat format;
  private final Arena arena = Arena.ofShared();
  private final int[] groupOfLayer;
  private final int[] slabShift;

  /**
   * {@code slabs[group]}; an array, since kernels look one up for every token that they jump to.
   */
  private final MemorySegment[][] slabs;

  /**
   * @param pageBytes of each group
   * @param leastShift logarithm of the fewest pages of a slab
   */
  SlabKvStorage(KvSpec spec, KvFormat format, long[] pageBytes, int leastShift) {
    this.spec = spec;
    this.format = format;
    groupOfLayer = new int[spec.layers().size()];
    for (int layer = 0; layer < groupOfLayer.length; layer++) {
      groupOfLayer[layer] = spec.groupOf(layer);
    }
    slabShift = new int[pageBytes.length];
    slabs = new MemorySegment[pageBytes.length][0];
    for (int group = 0; group < pageBytes.length; group++) {
      long pages = Math.max(1 << leastShift, SLAB_BYTES / Math.max(1, pageBytes[group]));
      slabShift[group] = Long.SIZE - 1 - Long.numberOfLeadingZeros(pages);
    }
  }

  /** Bytes of all parts of a slab. */
  abstract long slabBytes(int group);

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
    return slabs[group].length << slabShift[group];
  }

  @Override
  public final void grow(int group, int pages) {
    long bytes = slabBytes(group);
    while (pages(group) < pages) {
      try {
        MemorySegment slab = HugePages.allocate(arena, bytes);
        int count = slabs[group].length;
        slabs[group] = Arrays.copyOf(slabs[group], count + 1);
        slabs[group][count] = slab;
      } catch (OutOfMemoryError e) {
        throw new BackendException(
            "no memory for "
                + bytes
                + " more bytes of keys and values: use a shorter context or close sessions",
            e);
      }
    }
  }

  /** The group of a layer. */
  final int group(int layer) {
    return groupOfLayer[layer];
  }

  /** Logarithm of the pages of a slab. */
  final int slabShift(int group) {
    return slabShift[group];
  }

  /** Index of a page in its slab. */
  final int pageInSlab(int group, int page) {
    return page & ((1 << slabShift[group]) - 1);
  }

  /** The slab that holds a page. */
  final MemorySegment slab(int group, int page) {
    return slabs[group][page >> slabShift[group]];
  }

  @Override
  public final void close() {
    if (arena.scope().isAlive()) {
      arena.close();
      Arrays.fill(slabs, new MemorySegment[0]);
    }
  }
}
