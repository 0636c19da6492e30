package dev.jacquard.kernels.vector;

import java.util.Arrays;

/**
 * Blocks of one to {@link AttentionStage#BLOCK_PAGES} pages of a layer, in the form that the
 * kernels of a cache format read. They stand in the scratch buffers of the thread that loaded them.
 */
interface AttentionBlocks {
  /** Distance between the queries of a tile; what lies behind the size of a key is 0. */
  int queryStride();

  /** Distance between the sums of two queries: the size of a value, filled up. */
  int valueStride();

  /** Loads a query, times the score's scale, as query {@code index} of a tile. */
  default void loadQuery(
      AttentionWorkspace.Scratch scratch,
      int index,
      float[] query,
      int from,
      int keySize,
      float scale) {
    int to = index * queryStride();
    for (int i = 0; i < keySize; i++) {
      scratch.queries[to + i] = query[from + i] * scale;
    }
    Arrays.fill(scratch.queries, to + keySize, to + queryStride(), 0);
  }

  /** Loads the keys of one head of a page as page {@code index} of the block. */
  void loadKeys(AttentionWorkspace.Scratch scratch, int page, int head, int index);

  /**
   * Scores of all tokens of the block, the pages side by side, for {@code queries} queries: {@code
   * target[at + query · stride + token]}.
   */
  void score(
      AttentionWorkspace.Scratch scratch,
      int pages,
      int queries,
      float[] target,
      int at,
      int stride);

  /** Loads the first {@code tokens} values of one head of a page as page {@code index}. */
  void loadValues(AttentionWorkspace.Scratch scratch, int page, int head, int index, int tokens);

  /**
   * {@code sums[at + query · valueStride + channel] += weights[weightsAt + query · SPLIT + token] ·
   * value} over tokens {@code from} to {@code to} − 1 of the block, in their order.
   */
  void add(
      AttentionWorkspace.Scratch scratch,
      int from,
      int to,
      float[] weights,
      int weightsAt,
      int queries,
      float[] sums,
      int at);
}
