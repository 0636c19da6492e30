package dev.jacquard.benchmarks;

import dev.jacquard.kernels.SketchBasis;
import java.util.List;

/** Queries, keys and values of a text, for each layer of a program. One thread uses it. */
interface ReplayedText {
  /** Tokens of the text. */
  int length();

  /** The last positions, for which there are queries. */
  int queries();

  /** The queries, all heads, of position {@code length() − queries() + query}. */
  void query(int layer, int query, float[] target);

  /** Keys and values, all heads, of a position. */
  void cached(int layer, int position, float[] keys, float[] values);

  /** The bases of a layer's sketches, one for each key/value head. */
  List<SketchBasis> bases(int layer);
}
