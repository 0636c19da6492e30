package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.CompileOptions;
import dev.jacquard.kernels.Weight;
import dev.jacquard.tensor.ElementFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;

/**
 * The matrices of a program in packed form, and the memory they live in. Which format gets which
 * layout is decided here.
 */
final class PackedMatrices implements AutoCloseable {
  private final Arena arena;
  private final Map<String, PackedMatrix> byName;

  private PackedMatrices(Arena arena, Map<String, PackedMatrix> byName) {
    this.arena = arena;
    this.byName = byName;
  }

  /** The layout that matrices of {@code format} are packed in. */
  static PackedLayout layoutFor(ElementFormat format) {
    return switch (format.name()) {
      case "F16" -> F16Matrix.LAYOUT;
      case "BF16" -> BF16Matrix.LAYOUT;
      case "Q8_0" -> Q8_0Matrix.LAYOUT;
      case "Q4_0" -> Q4_0Matrix.LAYOUT;
      case "Q5_0" -> Q5_0Matrix.LAYOUT;
      case "Q4_K" -> Q4_KMatrix.LAYOUT;
      case "Q6_K" -> Q6_KMatrix.LAYOUT;
      case "F32" -> F32Matrix.LAYOUT;
      default -> F32Matrix.decoding(format);
    };
  }

  /** Packs every matrix once per name. Tells {@code options.progress()} how far it is. */
  static PackedMatrices pack(Collection<Weight> weights, CompileOptions options) {
    Arena arena = Arena.ofShared();
    Map<String, PackedMatrix> byName = new HashMap<>();
    for (Weight weight : weights) {
      byName.computeIfAbsent(
          weight.name(),
          name -> {
            PackedLayout layout = layoutFor(weight.tensor().format());
            long tileBytes = layout.tileBytes(weight.columns());
            int tiles = PackedMatrix.tiles(weight.rows());
            MemorySegment data = arena.allocate(tiles * tileBytes, 64);
            for (int tile = 0; tile < tiles; tile++) {
              layout.packTile(weight.tensor(), tile, data, tile * tileBytes);
            }
            return layout.view(weight.rows(), weight.columns(), data);
          });
    }
    options.progress().accept(1);
    return new PackedMatrices(arena, Map.copyOf(byName));
  }

  /** The packed form of a weight that was given to {@link #pack}. */
  PackedMatrix get(Weight weight) {
    PackedMatrix matrix = byName.get(weight.name());
    if (matrix == null) {
      throw new IllegalArgumentException(weight + " was not packed");
    }
    return matrix;
  }

  /** Bytes of all packed matrices. */
  long bytes() {
    return byName.values().stream().mapToLong(PackedMatrix::bytes).sum();
  }

  /** Frees the memory; no matrix may be in use. Twice does nothing. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
