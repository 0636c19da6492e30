package dev.jacquard.kernels.vector;

import dev.jacquard.kernels.QuantizedKv;
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
   * Scores of tokens whose keys were located, of the row of {@link #ask}: head h of token i to
   * {@code target[to + h · stride + i]}.
   */
  void score(SelectionRow row, ListedTokens list, float[] target, int to, int stride) {
    boolean direct = heads >= 4 && keySize == padded && TokenKernels.multipliesCodes();
    boolean expanded = !direct || heads % 4 != 0;
    for (int i = 0; i < list.size(); i += BLOCK) {
      int n = Math.min(BLOCK, list.size() - i);
      if (direct) {
        multiplyCodes(row, list, i, n, target, to + i, stride);
      }
      if (expanded) {
        expand(row, list, i, n);
        multiply(n, direct ? heads / 4 * 4 : 0, target, to + i, stride);
      }
      for (int h = 0; softCap != 0 && h < heads; h++) {
        VectorMath.cap(target, to + i + h * stride, n, softCap);
      }
    }
  }

  /** Four heads and two tokens at a time; an odd number of tokens has its last one twice. */
  private void multiplyCodes(
      SelectionRow row,
      ListedTokens list,
      int from,
      int tokens,
      float[] target,
      int to,
      int stride) {
    int groups = QuantizedKv.groups(keySize);
    for (int h = 0; h + 4 <= heads; h += 4) {
      for (int t = 0; t < tokens; t += 2) {
        int i = from + t;
        TokenKernels.multiplyCodes2x4(
            row.kv().memory(row.layer(), list.page(i)),
            list.key(i),
            row.kv().memory(row.layer(), list.page(i + 1)),
            list.key(i + 1),
            list.keyScales(),
            i * groups,
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

  private void expand(SelectionRow row, ListedTokens list, int from, int tokens) {
    int groups = QuantizedKv.groups(keySize);
    for (int t = 0; t < tokens; t++) {
      TokenKernels.expandKey(
          row.kv().memory(row.layer(), list.page(from + t)),
          list.key(from + t),
          list.keyScales(),
          (from + t) * groups,
          keySize,
          keys,
          t * padded);
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
