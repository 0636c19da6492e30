package dev.jacquard.attention;

import dev.jacquard.kernels.KvView;

/** Reads every page that has a token some row can see. */
final class DensePolicy implements AttentionPolicy {
  @Override
  public void select(KvView live, int window, int firstPosition, KvView selected) {
    int firstVisible = window == 0 ? 0 : firstPosition - window + 1;
    for (int i = 0; i < live.size(); i++) {
      if (live.firstPosition(i) + live.length(i) > firstVisible) {
        selected.add(live.page(i), live.firstPosition(i), live.length(i));
      }
    }
  }
}
