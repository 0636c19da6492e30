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
  private final MemorySegment[] memory = new MemorySegment[BLOCK + 1];
  private final long[] codes = new long[BLOCK + 1];
  private short[] halves = {};
  private float[] scales = {};
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
    int groups = QuantizedKv.groups(keySize);
    if (scales.length < (BLOCK + 1) * groups) {
      scales = new float[(BLOCK + 1) * groups];
      halves = new short[(BLOCK + 1) * groups];
    }
    if (keySize < padded) {
      Arrays.fill(queries, 0, heads * padded, 0);
      Arrays.fill(keys, 0, BLOCK * padded, 0);
    }
    for (int h = 0; h < heads; h++) {
      multiply(row.query(), row.queryAt(firstHead + h), row.scale(), queries, h * padded, keySize);
    }
  }

  private static void multiply(
      float[] from, int at, float factor, float[] target, int to, int count) {
    for (int i = 0; i < count; i++) {
      target[to + i] = from[at + i] * factor;
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
    boolean direct = heads >= 4 && keySize == padded && TokenKernels.multipliesCodes();
    boolean expanded = !direct || heads % 4 != 0;
    for (int i = 0; i < count; i += BLOCK) {
      int n = Math.min(BLOCK, count - i);
      for (int t = 0; t < n; t++) {
        int token = tokens[from + i + t];
        find(kv, layer, view.page(token / PAGE_TOKENS), kvHead, token % PAGE_TOKENS, t);
      }
      if (direct) {
        multiplyCodes(n, target, to + i, stride);
      }
      if (expanded) {
        expand(n);
        multiply(n, direct ? heads / 4 * 4 : 0, target, to + i, stride);
      }
      for (int h = 0; softCap != 0 && h < heads; h++) {
        VectorMath.cap(target, to + i + h * stride, n, softCap);
      }
    }
  }

  /** Remembers where a token's codes are, and reads its scales. */
  private void find(Q8KvStorage kv, int layer, int page, int kvHead, int offset, int t) {
    int groups = QuantizedKv.groups(keySize);
    memory[t] = kv.memory(layer, page);
    codes[t] = kv.offset(Part.KEYS, layer, page, kvHead) + (long) offset * keySize;
    long at =
        kv.offset(Part.KEY_SCALES, layer, page, kvHead) + (long) offset * Short.BYTES * groups;
    for (int g = 0; g < groups; g++) {
      halves[t * groups + g] = memory[t].get(Q8KvStorage.HALF, at + (long) g * Short.BYTES);
    }
  }

  /** Four heads and two tokens at a time; an odd number of tokens has its last one twice. */
  private void multiplyCodes(int tokens, float[] target, int to, int stride) {
    int groups = QuantizedKv.groups(keySize);
    memory[tokens] = memory[tokens - 1];
    codes[tokens] = codes[tokens - 1];
    System.arraycopy(halves, (tokens - 1) * groups, halves, tokens * groups, groups);
    for (int i = 0; i < (tokens + 1) * groups; i++) {
      scales[i] = Float.float16ToFloat(halves[i]);
    }
    for (int h = 0; h + 4 <= heads; h += 4) {
      for (int t = 0; t < tokens; t += 2) {
        TokenKernels.multiplyCodes2x4(
            memory[t],
            codes[t],
            memory[t + 1],
            codes[t + 1],
            scales,
            t * groups,
            groups,
            queries,
            h * padded,
            padded,
            chains,
            t * 4 * TokenKernels.CHAINS);
      }
      sumFour(h, tokens, target, to, stride);
    }
  }

  private void sumFour(int h, int tokens, float[] target, int to, int stride) {
    TokenKernels.sum16(chains, 0, 4 * tokens, sums, 0);
    for (int j = 0; j < 4; j++) {
      for (int t = 0; t < tokens; t++) {
        target[to + (h + j) * stride + t] = sums[4 * t + j];
      }
    }
  }

  private void expand(int tokens) {
    int groups = QuantizedKv.groups(keySize);
    for (int t = 0; t < tokens; t++) {
      for (int g = 0; g < groups; g++) {
        scales[t * groups + g] = Float.float16ToFloat(halves[t * groups + g]);
      }
      TokenKernels.expandKey(memory[t], codes[t], scales, t * groups, keySize, keys, t * padded);
    }
  }

  /** The heads from {@code first} on: four and two tokens at a time, then one by one. */
  private void multiply(int tokens, int first, float[] target, int to, int stride) {
    int size = TokenKernels.CHAINS;
    int h = first;
    for (; h + 4 <= heads; h += 4) {
      for (int t = 0; t < tokens; t += 2) {
        // An odd number of tokens: the last pair's second key is an old one, its sum is not used.
        TokenKernels.multiply2x4(
            keys, t * padded, queries, h * padded, padded, chains, t * 4 * size);
      }
      sumFour(h, tokens, target, to, stride);
    }
    for (; h < heads; h++) {
      for (int t = 0; t < tokens; t++) {
        TokenKernels.multiply1(keys, t * padded, queries, h * padded, padded, chains, t * size);
      }
      TokenKernels.sum16(chains, 0, tokens, target, to + h * stride);
    }
  }
}
