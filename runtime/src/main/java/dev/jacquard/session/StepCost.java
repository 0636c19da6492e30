package dev.jacquard.session;

import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import java.util.List;

/** Bytes that computing one token reads: all weights, and the keys and values that it sees. */
@SuppressWarnings("ArrayRecordComponent") // private to this package and never compared
record StepCost(long weightBytes, int[] windows, long[] bytesPerVisibleToken) {
  static StepCost of(long weightBytes, KvSpec spec, KvFormat format) {
    List<Integer> windows = spec.groupWindows();
    long[] bytes = new long[windows.size()];
    for (int group = 0; group < bytes.length; group++) {
      bytes[group] = spec.readBytes(group, format);
    }
    return new StepCost(weightBytes, windows.stream().mapToInt(Integer::intValue).toArray(), bytes);
  }

  /** Bytes read for the token at {@code position}, which sees itself. */
  long bytesAt(int position) {
    long bytes = weightBytes;
    for (int group = 0; group < windows.length; group++) {
      int visible = position + 1;
      if (windows[group] > 0) {
        visible = Math.min(visible, windows[group]);
      }
      bytes += visible * bytesPerVisibleToken[group];
    }
    return bytes;
  }
}
