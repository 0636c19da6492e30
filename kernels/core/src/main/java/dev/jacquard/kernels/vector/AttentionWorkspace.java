package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.PageSelection;
import dev.jacquard.kernels.QuantizedKv;
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

    /** Keys in 8 bits, see {@link Q8KeyKernels}. */
    final int[] words;

    final float[] keyScales;

    /** Values in 8 bits, see {@link Q8ValueKernels}. */
    final byte[] codes;

    final float[] valueScales;

    /** Scales of a page. */
    final short[] halves;

    private Scratch(int queries, int keySize, int valueStride) {
      int keyFilled = Q8KeyKernels.filled(keySize);
      int groups = Math.max(keyFilled, valueStride) / QuantizedKv.GROUP + 1;
      words = new int[AttentionStage.BLOCK_PAGES * Q8KeyKernels.pageWords(keyFilled)];
      keyScales = new float[AttentionStage.BLOCK_PAGES * Q8KeyKernels.pageScales(keyFilled)];
      codes = new byte[AttentionStage.BLOCK_PAGES * PAGE_TOKENS * valueStride + Long.BYTES];
      valueScales = new float[AttentionStage.BLOCK_PAGES * PAGE_TOKENS * groups];
      halves = new short[PAGE_TOKENS * groups];
      this.queries = new float[queries * keyFilled];
      scores = new float[queries * AttentionStage.SPLIT];
      edge = new float[Math.max(queries, groups) * PAGE_TOKENS];
      page = new float[AttentionStage.BLOCK_PAGES * PAGE_TOKENS * Math.max(keySize, valueStride)];
      part = new float[queries * (valueStride + 2)];
      total = new float[queries * (valueStride + 2)];
    }
  }

  private final Scratch[] scratch;

  /** First row and number of rows of each tile of this step. */
  int[] tileFirst = new int[16];

  int[] tileRows = new int[16];

  /** Of tiles of failed slices: the first slice of the row, that of query head 0. */
  int[] tileSlice = new int[16];

  /** Rows that slices of a selection cover. */
  boolean[] listed = new boolean[0];

  /** Slices whose audit failed: their heads read everything. */
  boolean[] failed = new boolean[16];

  /** Tiles of one row of which only the heads of failed slices are computed. */
  boolean[] onlyFailed = new boolean[16];

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
      tileSlice = new int[2 * count];
      onlyFailed = new boolean[2 * count];
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

  /** No slice has failed yet. */
  void clearFailed(int slices) {
    if (failed.length < slices) {
      failed = new boolean[2 * slices];
    }
    Arrays.fill(failed, 0, slices, false);
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
