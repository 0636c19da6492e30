package dev.jacquard.calibration;

import dev.jacquard.kernels.Executable;
import dev.jacquard.kernels.KvSpec;
import dev.jacquard.kernels.KvStorage;
import dev.jacquard.kernels.Op;
import dev.jacquard.kernels.Slot;
import dev.jacquard.kernels.StepInputs;
import java.util.List;

/**
 * Runs chunks of a text through a model, each by itself at a position of its own, and hands over
 * what the layers compute. Its cache is its own and holds one chunk. One thread uses it, that of
 * the executable.
 */
public final class ChunkReader implements AutoCloseable {
  /** Told after each op. */
  @FunctionalInterface
  public interface Computed {
    /**
     * An op has written its slots for some rows of a chunk; {@link Executable#read} has them.
     *
     * @param index of the op in the program
     * @param first index within the chunk of the first row
     */
    void after(int index, Op op, int first, int rows);
  }

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

  /** Told after the attention of each layer, when the first {@code rows} rows have their output. */
  @FunctionalInterface
  interface Attended {
    /** May change the rows of {@code op.out()}. */
    void after(Op.Attention op, int rows);
  }

  /** Receives logits. */
  @FunctionalInterface
  interface Logits {
    /**
     * Logits of a row.
     *
     * @param row counted from the first that is repeated
     * @param logits [vocabulary], an array that is used again
     */
    void accept(int row, float[] logits);
  }

  private final Executable executable;
  private final Slot logits;
  private final int maxOutputs;
  private final KvStorage storage;
  private final List<CalibrationSite> sites;
  private final StepInputs inputs;
  private final int groups;
  private float[] queries = {};
  private float[] keys = {};

  /**
   * A reader.
   *
   * @param logits slot of the program's result
   * @param storage an empty one of the program's layers, closed with this reader
   * @param maxRows most rows of a step of {@code executable}
   * @param maxOutputs most rows of a step whose logits are wanted
   */
  ChunkReader(
      Executable executable,
      Slot logits,
      KvStorage storage,
      List<CalibrationSite> sites,
      int maxRows,
      int maxOutputs) {
    this.executable = executable;
    this.logits = logits;
    this.maxOutputs = Math.min(maxRows, maxOutputs);
    this.storage = storage;
    this.sites = sites;
    KvSpec spec = storage.spec();
    groups = spec.groupWindows().size();
    inputs = new StepInputs(maxRows, groups);
  }

  /**
   * A reader that is only told what ops compute.
   *
   * @param logits slot of the program's result
   * @param storage an empty one of the program's layers, closed with this reader
   * @param maxRows most rows of a step of {@code executable}
   */
  public ChunkReader(Executable executable, Slot logits, KvStorage storage, int maxRows) {
    this(executable, logits, storage, List.of(), maxRows, maxRows);
  }

  /**
   * Computes a chunk whose first token stands at {@code position}, as if nothing stood before it.
   * No output is wanted of any row.
   */
  public void read(int[] tokens, int position, Computed computed) {
    int pages = (tokens.length + KvStorage.PAGE_TOKENS - 1) / KvStorage.PAGE_TOKENS;
    for (int group = 0; group < groups; group++) {
      storage.grow(group, pages);
    }
    for (int first = 0; first < tokens.length; first += inputs.maxRows()) {
      int end = Math.min(tokens.length, first + inputs.maxRows());
      fill(tokens, position, first, end, false);
      int from = first;
      executable.run(inputs, storage, (index, op) -> computed.after(index, op, from, end - from));
    }
  }

  /** The same, handing over queries and keys. */
  void read(int[] tokens, int position, Rows rows) {
    read(
        tokens,
        position,
        (index, op, first, count) -> {
          if (op instanceof Op.SelectPages) {
            after(index, first, count, rows);
          }
        });
  }

  /**
   * Computes the rows of the chunk that was read last from {@code first} on once more, and their
   * logits. All rows before them stay as they were read.
   */
  void repeat(int[] tokens, int position, int first, Attended attended, Logits receiver) {
    float[] values = new float[logits.width()];
    for (int from = first; from < tokens.length; from += maxOutputs) {
      int rows = Math.min(tokens.length - from, maxOutputs);
      fill(tokens, position, from, from + rows, true);
      executable.run(
          inputs,
          storage,
          (index, op) -> {
            if (op instanceof Op.Attention attention) {
              attended.after(attention, rows);
            }
          });
      for (int row = 0; row < rows; row++) {
        executable.read(logits, row, values, 0);
        receiver.accept(from - first + row, values);
      }
    }
  }

  private void fill(int[] tokens, int position, int first, int end, boolean output) {
    inputs.clear();
    int sequence = inputs.addSequence();
    for (int i = first; i < end; i++) {
      int row = inputs.addRow(sequence, position + i, tokens[i], output);
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

  private void after(int index, int first, int rows, Rows receiver) {
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
