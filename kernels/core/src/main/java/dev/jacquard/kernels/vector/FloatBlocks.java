package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.AttentionStage.BLOCK_PAGES;
import static dev.jacquard.kernels.vector.AttentionStage.SPLIT;
import static dev.jacquard.kernels.vector.Lanes.FLOATS;

import dev.jacquard.kernels.KvSpec;

/** Blocks of a cache in 16 or 32 bits: pages become floats before they are read. */
final class FloatBlocks implements AttentionBlocks {
  private final Step step;
  private final int layer;
  private final int keySize;
  private final int valueStride;

  FloatBlocks(Step step, int layer, KvSpec.Layer shape) {
    this.step = step;
    this.layer = layer;
    keySize = shape.keySize();
    valueStride = (shape.valueSize() + FLOATS - 1) / FLOATS * FLOATS;
  }

  private VectorKvStorage kv() {
    return (VectorKvStorage) step.kv();
  }

  @Override
  public int queryStride() {
    return keySize;
  }

  @Override
  public int valueStride() {
    return valueStride;
  }

  @Override
  public void loadKeys(AttentionWorkspace.Scratch scratch, int page, int head, int index) {
    kv().readKeys(layer, page, head, scratch.page, index * PAGE_TOKENS * keySize);
  }

  @Override
  public void score(
      AttentionWorkspace.Scratch scratch,
      int pages,
      int queries,
      float[] target,
      int at,
      int stride) {
    if (pages == BLOCK_PAGES) {
      scoreBlock(scratch.page, scratch.queries, queries, target, at, stride);
    } else {
      scorePage(scratch.page, scratch.queries, queries, target, at, stride);
    }
  }

  private void scoreBlock(
      float[] keys, float[] queries, int count, float[] target, int at, int stride) {
    int q = 0;
    for (; q + 2 <= count; q += 2) {
      AttentionKernels.score2x4(
          keys, queries, q * keySize, keySize, target, at + q * stride, stride);
    }
    if (q < count) {
      AttentionKernels.score1x4(keys, queries, q * keySize, keySize, target, at + q * stride);
    }
  }

  private void scorePage(
      float[] keys, float[] queries, int count, float[] target, int at, int stride) {
    int q = 0;
    for (; q + 4 <= count; q += 4) {
      AttentionKernels.score4(keys, queries, q * keySize, keySize, target, at + q * stride, stride);
    }
    for (; q < count; q++) {
      AttentionKernels.score1(keys, queries, q * keySize, keySize, target, at + q * stride);
    }
  }

  @Override
  public void loadValues(
      AttentionWorkspace.Scratch scratch, int page, int head, int index, int tokens) {
    int to = index * PAGE_TOKENS * valueStride;
    kv().readValues(layer, page, head, tokens, scratch.page, to, valueStride);
  }

  @Override
  public void add(
      AttentionWorkspace.Scratch scratch,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int queries,
      float[] sums,
      int at) {
    float[] values = scratch.page;
    int wide = valueStride / (4 * FLOATS) * (4 * FLOATS);
    int q = 0;
    for (; q + 2 <= queries; q += 2) {
      int w = weightsAt + q * SPLIT;
      int s = at + q * valueStride;
      AttentionKernels.add2x4(values, valueStride, wide, from, to, weights, w, SPLIT, sums, s);
      AttentionKernels.add2(values, valueStride, wide, from, to, weights, w, SPLIT, sums, s);
    }
    if (q < queries) {
      int w = weightsAt + q * SPLIT;
      AttentionKernels.add1(values, valueStride, from, to, weights, w, sums, at + q * valueStride);
    }
  }
}
