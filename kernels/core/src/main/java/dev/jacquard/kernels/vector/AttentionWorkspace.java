package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.PageSelection;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;

/** Buffers that the attention stages of an executable share; one stage runs at a time. */
final class AttentionWorkspace {
  /** One thread's buffers. */
  static final class Scratch {
    final float[] queries;
    final float[] scores;
    final float[] edge;
    final float[] page;
    final float[] part;
    final float[] total;
    final float[] chains = new float[VectorMath.CHAINS];

    private Scratch(int queries, int keySize, int valueStride) {
      this.queries = new float[queries * keySize];
      scores = new float[queries * AttentionStage.SPLIT];
      edge = new float[queries * PAGE_TOKENS];
      page = new float[AttentionStage.BLOCK_PAGES * PAGE_TOKENS * Math.max(keySize, valueStride)];
      part = new float[queries * (valueStride + 2)];
      total = new float[queries * (valueStride + 2)];
    }
  }

  private final Scratch[] scratch;

  /** First row and number of rows of each tile of this step. */
  int[] tileFirst = new int[16];

  int[] tileRows = new int[16];

  /** Rows that slices of a selection cover. */
  boolean[] listed = new boolean[0];

  /** Parts of sums over splits, where splits are shared between threads. */
  float[] parts = new float[0];

  /** Splits of each (tile, head) that are not finished yet. */
  AtomicIntegerArray unfinished = new AtomicIntegerArray(0);

  /** Buffers for the largest shapes of all stages. */
  AttentionWorkspace(int threads, int queries, int keySize, int valueStride) {
    scratch = new Scratch[threads];
    for (int i = 0; i < threads; i++) {
      scratch[i] = new Scratch(queries, keySize, valueStride);
    }
  }

  Scratch scratch(int thread) {
    return scratch[thread];
  }

  void ensureTiles(int count) {
    if (tileFirst.length < count) {
      tileFirst = new int[2 * count];
      tileRows = new int[2 * count];
    }
  }

  void ensureParts(int floats, int counters) {
    if (parts.length < floats) {
      parts = new float[2 * floats];
    }
    if (unfinished.length() < counters) {
      unfinished = new AtomicIntegerArray(2 * counters);
    }
  }

  /** Marks the rows that {@code selection} covers. */
  void markListed(PageSelection selection, int rows) {
    if (listed.length < rows) {
      listed = new boolean[rows];
    }
    Arrays.fill(listed, 0, rows, false);
    for (int i = 0; i < selection.size(); i++) {
      PageSelection.Slice slice = selection.slice(i);
      Arrays.fill(listed, slice.firstRow(), slice.firstRow() + slice.rows(), true);
    }
  }
}
