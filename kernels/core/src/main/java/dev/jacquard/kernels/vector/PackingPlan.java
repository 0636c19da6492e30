package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.Weight;
import dev.jacquard.kernels.parallel.WorkerPool;
import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Which matrices are packed, how, and where each of them stands in one region of memory or file.
 *
 * @param entries one per name
 * @param bytes size of the region
 */
record PackingPlan(List<Entry> entries, long bytes) {
  private static final long ALIGNMENT = 64;

  /** Changes whenever the order or alignment of a region changes; layouts have their own number. */
  private static final String MAGIC = "jacquard packed matrices 1";

  /**
   * One matrix.
   *
   * @param offset where its tiles start in the region
   */
  record Entry(Weight weight, PackedLayout layout, long offset) {
    long bytes() {
      return PackedMatrix.tiles(weight.rows()) * layout.tileBytes(weight.columns());
    }

    /** Writes all tiles to {@code target}, on the threads of {@code pool}. */
    void pack(WorkerPool pool, MemorySegment target) {
      int tiles = PackedMatrix.tiles(weight.rows());
      long tileBytes = layout.tileBytes(weight.columns());
      target.asSlice((tiles - 1) * tileBytes, tileBytes).fill((byte) 0);
      pool.run(
          tiles,
          Math.max(1, tiles / (8 * pool.threads())),
          (from, to, thread) -> {
            for (int tile = from; tile < to; tile++) {
              layout.packTile(weight.tensor(), tile, target, tile * tileBytes);
            }
          });
    }
  }

  /** A plan for every weight, once per name, in the given order; none is an output head. */
  static PackingPlan of(Collection<Weight> weights) {
    return of(weights, List.of());
  }

  /** The same where {@code heads} are output heads. */
  static PackingPlan of(Collection<Weight> weights, Collection<Weight> heads) {
    Set<String> headNames = heads.stream().map(Weight::name).collect(Collectors.toSet());
    List<Entry> entries = new ArrayList<>();
    Set<String> names = new HashSet<>();
    long end = 0;
    for (Weight weight : weights) {
      if (names.add(weight.name())) {
        ElementFormat format = weight.tensor().format();
        PackedLayout layout =
            headNames.contains(weight.name())
                ? PackedMatrices.headLayoutFor(format)
                : PackedMatrices.layoutFor(format);
        Entry entry = new Entry(weight, layout, end);
        entries.add(entry);
        end += (entry.bytes() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
      }
    }
    return new PackingPlan(List.copyOf(entries), end);
  }

  /** Everything that the bytes of the region depend on besides the weights' values. */
  byte[] description() {
    StringBuilder text = new StringBuilder(MAGIC).append('\n');
    for (Entry entry : entries) {
      Weight weight = entry.weight();
      text.append(entry.offset())
          .append(' ')
          .append(entry.bytes())
          .append(' ')
          .append(entry.layout().name())
          .append(' ')
          .append(weight.tensor().format().name())
          .append(' ')
          .append(weight.tensor().shape())
          .append(' ')
          .append(weight.name())
          .append('\n');
    }
    byte[] lines = text.append(bytes).append('\n').toString().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(Integer.BYTES + lines.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(lines.length)
        .put(lines)
        .array();
  }
}
