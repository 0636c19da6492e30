package dev.jacquard.kernels.vector;

import static dev.jacquard.kernels.KvStorage.PAGE_TOKENS;

import dev.jacquard.kernels.KvView;
import dev.jacquard.kernels.vector.Q8KvStorage.Part;
import java.lang.foreign.MemorySegment;

/** Sketch scores of entries of a view, in steps, for several queries. Buffers of one thread. */
final class EntryScan {
  private short[] quad = {};

  /**
   * Sums of steps of all tokens of entries {@code first} to {@code end} − 1, quad by quad where
   * four pages are consecutive.
   *
   * @param query the first of {@code queries} queries of {@code tables}
   * @param sums of query i, token t of entry e: {@code sums[to + i · stride + PAGE_TOKENS · e + t]}
   */
  void scan(
      Q8KvStorage kv,
      int layer,
      int kvHead,
      KvView view,
      int first,
      int end,
      SketchTables tables,
      int query,
      int queries,
      short[] sums,
      int to,
      int stride) {
    if (quad.length < queries * SketchScan.TOKENS) {
      quad = new short[queries * SketchScan.TOKENS];
    }
    for (int e = first; e < end; ) {
      int page = view.page(e);
      int run = 1;
      while (e + run < end && run < 4 - (page & 3) && view.page(e + run) == page + run) {
        run++;
      }
      MemorySegment memory = kv.memory(layer, page);
      long at = kv.offset(Part.SKETCHES, layer, page & ~3, kvHead);
      int target = to + e * PAGE_TOKENS;
      if (run == 4) {
        scanQuad(memory, at, tables, query, queries, sums, target, stride);
      } else {
        scanQuad(memory, at, tables, query, queries, quad, 0, SketchScan.TOKENS);
        for (int i = 0; i < queries; i++) {
          System.arraycopy(
              quad,
              i * SketchScan.TOKENS + (page & 3) * PAGE_TOKENS,
              sums,
              target + i * stride,
              run * PAGE_TOKENS);
        }
      }
      e += run;
    }
  }

  private static void scanQuad(
      MemorySegment memory,
      long at,
      SketchTables tables,
      int query,
      int queries,
      short[] target,
      int to,
      int stride) {
    int bytes = tables.stride() / (2 * SketchTables.TABLE);
    int i = 0;
    for (; i + 4 <= queries; i += 4) {
      SketchScan.scan4(
          memory,
          at,
          bytes,
          tables.tables(),
          (query + i) * (long) tables.stride(),
          tables.stride(),
          target,
          to + i * stride,
          stride);
    }
    for (; i < queries; i++) {
      SketchScan.scan1(
          memory,
          at,
          bytes,
          tables.tables(),
          (query + i) * (long) tables.stride(),
          target,
          to + i * stride);
    }
  }
}
