package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.QuantizedKv;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Exact scores of listed tokens, 8-bit keys, for the query heads that share a key/value head.
 * Buffers of one thread.
 */
final class TokenScores {
  /** Tokens that are expanded together: keys of 256 then fill a third of the first-level cache. */
  private static final int BLOCK = 16;

  private float[] queries = {};
  private float[] keys = {};
  private float[] chains = {};
  private float[] sums = {};
  private int heads;
  private int keySize;
  private int padded;
  private float softCap;

  /** The queries of {@code count} heads from {@code firstHead} on, times the scale. */
  void ask(SelectionRow row, int firstHead, int count) {
    heads = count;
    keySize = row.keySize();
    softCap = row.softCap();
    padded = TokenKernels.padded(keySize);
    if (keys.length < BLOCK * padded) {
      keys = new float[BLOCK * padded];
    }
    if (queries.length < heads * padded) {
      queries = new float[heads * padded];
      chains = new float[heads * BLOCK * TokenKernels.CHAINS];
      sums = new float[heads * BLOCK];
    }
    Arrays.fill(queries, 0, heads * padded, 0);
    Arrays.fill(keys, 0, BLOCK * padded, 0);
    for (int h = 0; h < heads; h++) {
      int from = row.queryAt(firstHead + h);
      for (int i = 0; i < keySize; i++) {
        queries[h * padded + i] = row.query()[from + i] * row.scale();
      }
    }
  }

  /**
   * Scores of tokens {@code tokens[from … from + count)}, each PAGE_TOKENS · entry + offset: head h
   * of token i to {@code target[to + h · stride + i]}.
   */
  void score(
      Q8KvStorage kv,
      KvView view,
      int layer,
      int kvHead,
      int[] tokens,
      int from,
      int count,
      float[] target,
      int to,
      int stride) {
    for (int i = 0; i < count; i += BLOCK) {
      int n = Math.min(BLOCK, count - i);
      for (int t = 0; t < n; t++) {
        int token = tokens[from + i + t];
        expand(kv, layer, view.page(token / PAGE_TOKENS), kvHead, token % PAGE_TOKENS, t);
      }
      multiply(n, target, to + i, stride);
    }
  }

  private void expand(Q8KvStorage kv, int layer, int page, int kvHead, int offset, int t) {
    MemorySegment memory = kv.memory(layer, page);
    TokenKernels.expandKey(
        memory,
        kv.offset(Part.KEYS, layer, page, kvHead) + (long) offset * keySize,
        kv.offset(Part.KEY_SCALES, layer, page, kvHead)
            + (long) offset * Short.BYTES * QuantizedKv.groups(keySize),
        keySize,
        keys,
        t * padded);
  }

  /** Four heads and two tokens at a time; {@code chains} and {@code sums} follow that order. */
  private void multiply(int tokens, float[] target, int to, int stride) {
    int size = TokenKernels.CHAINS;
    int h = 0;
    for (; h + 4 <= heads; h += 4) {
      for (int t = 0; t < tokens; t += 2) {
        // An odd number of tokens: the last pair's second key is an old one, its sum is not used.
        TokenKernels.multiply2x4(
            keys, t * padded, queries, h * padded, padded, chains, t * 4 * size);
      }
      TokenKernels.sum16(chains, 0, 4 * tokens, sums, 0);
      for (int j = 0; j < 4; j++) {
        for (int t = 0; t < tokens; t++) {
          target[to + (h + j) * stride + t] = sums[4 * t + j];
        }
      }
    }
    for (; h < heads; h++) {
      for (int t = 0; t < tokens; t++) {
        TokenKernels.multiply1(keys, t * padded, queries, h * padded, padded, chains, t * size);
      }
      TokenKernels.sum16(chains, 0, tokens, target, to + h * stride);
    }
    if (softCap != 0) {
      for (h = 0; h < heads; h++) {
        VectorMath.cap(target, to + h * stride, tokens, softCap);
      }
    }
  }
}
