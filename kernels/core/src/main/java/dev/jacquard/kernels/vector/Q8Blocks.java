package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;
import static dev.jacquard.kernels.vector.AttentionStage.BLOCK_PAGES;
import static dev.jacquard.kernels.vector.AttentionStage.SPLIT;

import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Blocks of a cache in 8 bits: keys are transposed in words, the nibbles of values joined, and
 * codes become floats in the kernels.
 */
final class Q8Blocks implements AttentionBlocks {
  private final Step step;
  private final int layer;
  private final int keySize;
  private final int keyFilled;
  private final int keyGroups;
  private final int[] scaleLanes = new int[PAGE_TOKENS];
  private final int plane;
  private final int valueGroups;
  private final int valueStride;

  Q8Blocks(Step step, int layer, KvSpec.Layer shape) {
    this.step = step;
    this.layer = layer;
    keySize = shape.keySize();
    keyFilled = Q8KeyKernels.filled(keySize);
    keyGroups = QuantizedKv.groups(keySize);
    Arrays.setAll(scaleLanes, token -> token * keyGroups);
    plane = Q8KvStorage.plane(shape.valueSize());
    valueGroups = QuantizedKv.groups(shape.valueSize());
    valueStride = Q8ValueKernels.filled(shape.valueSize());
  }

  private Q8KvStorage kv() {
    return (Q8KvStorage) step.kv();
  }

  @Override
  public int queryStride() {
    return keyFilled;
  }

  @Override
  public int valueStride() {
    return valueStride;
  }

  @Override
  public void loadKeys(AttentionWorkspace.Scratch scratch, int page, int head, int index) {
    Q8KvStorage kv = kv();
    MemorySegment memory = kv.memory(layer, page);
    Q8KeyKernels.transpose(
        memory,
        kv.offset(Part.KEYS, layer, page, head),
        keySize,
        scratch.words,
        index * Q8KeyKernels.pageWords(keyFilled));
    int count = PAGE_TOKENS * keyGroups;
    halves(memory, kv.offset(Part.KEY_SCALES, layer, page, head), count, scratch, scratch.edge, 0);
    int to = index * Q8KeyKernels.pageScales(keyFilled);
    Q8KeyKernels.transposeScales(scratch.edge, scaleLanes, keyGroups, scratch.keyScales, to);
  }

  /** A plain loop over arrays, which the compiler turns into conversion instructions. */
  private static void halves(
      MemorySegment memory,
      long at,
      int count,
      AttentionWorkspace.Scratch scratch,
      float[] target,
      int to) {
    short[] halves = scratch.halves;
    MemorySegment.copy(memory, Q8KvStorage.HALF, at, halves, 0, count);
    for (int i = 0; i < count; i++) {
      target[to + i] = Float.float16ToFloat(halves[i]);
    }
  }

  @Override
  public void score(
      AttentionWorkspace.Scratch scratch,
      int pages,
      int queries,
      float[] target,
      int at,
      int stride) {
    int[] words = scratch.words;
    float[] scales = scratch.keyScales;
    float[] x = scratch.queries;
    int q = 0;
    for (; q + 8 <= queries; q += 8) {
      for (int p = 0; p < pages; p++) {
        int to = at + q * stride + p * PAGE_TOKENS;
        Q8KeyKernels.score8x1(words, scales, p, x, q * keyFilled, keyFilled, target, to, stride);
      }
    }
    if (q + 4 <= queries) {
      int p = 0;
      for (; p + 2 <= pages; p += 2) {
        int to = at + q * stride + p * PAGE_TOKENS;
        Q8KeyKernels.score4x2(words, scales, p, x, q * keyFilled, keyFilled, target, to, stride);
      }
      if (p < pages) {
        int to = at + q * stride + p * PAGE_TOKENS;
        Q8KeyKernels.score4x1(words, scales, p, x, q * keyFilled, keyFilled, target, to, stride);
      }
      q += 4;
    }
    for (; q < queries; q++) {
      int to = at + q * stride;
      if (pages == BLOCK_PAGES) {
        Q8KeyKernels.score1x4(words, scales, 0, x, q * keyFilled, keyFilled, target, to, stride);
      } else {
        for (int p = 0; p < pages; p++) {
          int page = to + p * PAGE_TOKENS;
          Q8KeyKernels.score1x1(
              words, scales, p, x, q * keyFilled, keyFilled, target, page, stride);
        }
      }
    }
  }

  @Override
  public void loadValues(
      AttentionWorkspace.Scratch scratch, int page, int head, int index, int tokens) {
    Q8KvStorage kv = kv();
    MemorySegment memory = kv.memory(layer, page);
    int first = index * PAGE_TOKENS;
    Q8ValueKernels.join(
        memory,
        kv.offset(Part.VALUES, layer, page, head),
        plane,
        tokens,
        scratch.codes,
        first * valueStride,
        valueStride);
    long scales = kv.offset(Part.VALUE_SCALES, layer, page, head);
    int stride = valueStride / QuantizedKv.GROUP;
    if (stride == valueGroups) {
      halves(memory, scales, tokens * stride, scratch, scratch.valueScales, first * stride);
    } else {
      for (int t = 0; t < tokens; t++) {
        long at = scales + (long) t * valueGroups * Short.BYTES;
        halves(memory, at, valueGroups, scratch, scratch.valueScales, (first + t) * stride);
      }
    }
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
    Q8ValueKernels.add(
        scratch.codes,
        scratch.valueScales,
        valueStride,
        from,
        to,
        weights,
        weightsAt,
        SPLIT,
        queries,
        sums,
        at);
  }
}
