package dev.jacquard.attention;

import dev.jacquard.kernels.BackendException;
import dev.jacquard.kernels.KvFormat;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.SketchBasis;
import dev.jacquard.kernels.StepInputs;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Pages that hold the ids of their tokens instead of keys and values. */
final class RecordingStorage implements KvStorage {
  private final KvSpec spec;
  private final List<List<int[]>> pages = new ArrayList<>();

  /** For each page, the tokens that its summary speaks of. */
  private final List<List<List<Integer>>> summaries = new ArrayList<>();

  int copies;
  int devicePages = Integer.MAX_VALUE;
  boolean closed;

  RecordingStorage(KvSpec spec) {
    this.spec = spec;
    for (int _ : spec.groupWindows()) {
      pages.add(new ArrayList<>());
      summaries.add(new ArrayList<>());
    }
  }

  /** What the ops that write keys and values do in a step. */
  void run(StepInputs inputs) {
    for (int g = 0; g < pages.size(); g++) {
      for (int row = 0; row < inputs.rows(); row++) {
        int page = inputs.writePage(g, row);
        pages.get(g).get(page)[inputs.writeOffset(g, row)] = inputs.token(row);
        summarise(g, page, inputs.writeOffset(g, row) + 1);
      }
    }
  }

  int token(int group, int page, int offset) {
    return pages.get(group).get(page)[offset];
  }

  List<Integer> summary(int group, int page) {
    return summaries.get(group).get(page);
  }

  @Override
  public KvSpec spec() {
    return spec;
  }

  @Override
  public KvFormat format() {
    return KvFormat.F16;
  }

  @Override
  public int pages(int group) {
    return pages.get(group).size();
  }

  @Override
  public void grow(int group, int count) {
    if (count > devicePages) {
      throw new BackendException("the device has no memory");
    }
    while (pages.get(group).size() < count) {
      pages.get(group).add(new int[PAGE_TOKENS]);
      summaries.get(group).add(List.of());
    }
  }

  @Override
  public void copyPage(int group, int from, int to, int tokens) {
    copies++;
    System.arraycopy(pages.get(group).get(from), 0, pages.get(group).get(to), 0, tokens);
    summarise(group, to, tokens);
  }

  @Override
  public void write(
      int layer, int page, int offset, float[] keys, int keysAt, float[] values, int valuesAt) {
    pages.get(spec.groupOf(layer)).get(page)[offset] = (int) keys[keysAt];
  }

  @Override
  public void readKey(int layer, int page, int offset, int head, float[] target, int at) {
    target[at] = token(spec.groupOf(layer), page, offset);
  }

  @Override
  public void readValue(int layer, int page, int offset, int head, float[] target, int at) {
    target[at] = token(spec.groupOf(layer), page, offset);
  }

  @Override
  public void summarise(int group, int page, int tokens) {
    summaries
        .get(group)
        .set(page, Arrays.stream(pages.get(group).get(page), 0, tokens).boxed().toList());
  }

  @Override
  public void sketch(int layer, List<SketchBasis> bases) {
    throw new IllegalStateException("nothing is sketched here");
  }

  @Override
  public boolean sketched(int layer) {
    return false;
  }

  @Override
  public void close() {
    closed = true;
  }
}
