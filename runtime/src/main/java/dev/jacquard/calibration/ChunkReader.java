package dev.jacquard.calibration;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.StepInputs;
import java.util.List;

/**
 * Runs chunks of a text through a model, each by itself at a position of its own, and hands over
 * the queries and keys that the layers compute. Its cache is its own and holds one chunk.
 */
final class ChunkReader implements AutoCloseable {
  /** Receives what a layer computed for some rows of a chunk. */
  @FunctionalInterface
  interface Rows {
    /**
     * Rows of one layer, in arrays that are used again.
     *
     * @param site index in the list of sites
     * @param queries [rows × heads·keySize]
     * @param keys [rows × kvHeads·keySize]
     * @param first index within the chunk of the first row
     */
    void accept(int site, float[] queries, float[] keys, int first, int rows);
  }

  private final Executable executable;
  private final KvStorage storage;
  private final List<CalibrationSite> sites;
  private final StepInputs inputs;
  private final int groups;
  private float[] queries = {};
  private float[] keys = {};

  /**
   * A reader.
   *
   * @param storage an empty one of the program's layers, closed with this reader
   * @param maxRows most rows of a step of {@code executable}
   */
  ChunkReader(Executable executable, KvStorage storage, List<CalibrationSite> sites, int maxRows) {
    this.executable = executable;
    this.storage = storage;
    this.sites = sites;
    KvSpec spec = storage.spec();
    groups = spec.groupWindows().size();
    inputs = new StepInputs(maxRows, groups);
  }

  /**
   * Computes a chunk whose first token stands at {@code position}, as if nothing stood before it.
   */
  void read(int[] tokens, int position, Rows rows) {
    int pages = (tokens.length + KvStorage.PAGE_TOKENS - 1) / KvStorage.PAGE_TOKENS;
    for (int group = 0; group < groups; group++) {
      storage.grow(group, pages);
    }
    for (int first = 0; first < tokens.length; first += inputs.maxRows()) {
      int end = Math.min(tokens.length, first + inputs.maxRows());
      fill(tokens, position, first, end);
      int from = first;
      executable.run(inputs, storage, (index, op) -> after(index, op, from, end - from, rows));
    }
  }

  private void fill(int[] tokens, int position, int first, int end) {
    inputs.clear();
    int sequence = inputs.addSequence();
    for (int i = first; i < end; i++) {
      int row = inputs.addRow(sequence, position + i, tokens[i], false);
      for (int group = 0; group < groups; group++) {
        inputs.setWrite(group, row, i / KvStorage.PAGE_TOKENS, i % KvStorage.PAGE_TOKENS);
      }
    }
    for (int group = 0; group < groups; group++) {
      for (int start = 0; start < end; start += KvStorage.PAGE_TOKENS) {
        inputs
            .view(sequence, group)
            .add(
                start / KvStorage.PAGE_TOKENS,
                position + start,
                Math.min(KvStorage.PAGE_TOKENS, end - start),
                false);
      }
    }
  }

  private void after(int index, Op op, int first, int rows, Rows receiver) {
    if (!(op instanceof Op.SelectPages)) {
      return;
    }
    for (int i = 0; i < sites.size(); i++) {
      CalibrationSite site = sites.get(i);
      if (site.index() == index) {
        int queryWidth = site.select().query().width();
        int keyWidth = site.key().width();
        if (queries.length < rows * queryWidth) {
          queries = new float[rows * queryWidth];
        }
        if (keys.length < rows * keyWidth) {
          keys = new float[rows * keyWidth];
        }
        for (int row = 0; row < rows; row++) {
          executable.read(site.select().query(), row, queries, row * queryWidth);
          executable.read(site.key(), row, keys, row * keyWidth);
        }
        receiver.accept(i, queries, keys, first, rows);
      }
    }
  }

  @Override
  public void close() {
    storage.close();
  }
}
