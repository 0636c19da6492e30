package dev.jacquard.kernels.vector;

import dev.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/** How matrices of one kind are packed. Stateless; each kernel file has one. */
interface PackedLayout {
  /** Name that stands for layout and version in cache files; changes whenever the bytes would. */
  String name();

  /** Name of the kernel, for people. */
  String kernel();

  /** Bytes of one tile of {@link PackedMatrix#TILE} rows with {@code columns} columns. */
  long tileBytes(int columns);

  /** Writes tile {@code tile} of {@code source} to {@code target[offset …]}, which holds zeros. */
  void packTile(Tensor source, int tile, MemorySegment target, long offset);

  /** The matrix over packed tiles. */
  PackedMatrix view(int rows, int columns, MemorySegment data);
}
